"""Sound: samples of every width, and coefficients against the formula written out in loops."""

import gzip
import math
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyseq.data import mfcc, read_wav
from tinyseq.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wav") / "sound.wav"


def write(path: Path, samples: list[int], width: int, channels: int = 1, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        shift = 128 if width == 1 else 0
        sound.writeframes(b"".join((s + shift).to_bytes(width, "little", signed=width > 1) for s in samples))


@given(width=st.integers(1, 4), channels=st.integers(1, 2), data=st.data())
def test_samples_of_every_width(path: Path, width: int, channels: int, data: st.DataObject) -> None:
    top = 2 ** (8 * width - 1)
    frames = data.draw(st.integers(1, 8))
    size = frames * channels
    samples = data.draw(st.lists(st.integers(-top, top - 1), min_size=size, max_size=size))
    write(path, samples, width, channels)
    read, rate = read_wav(path)
    wanted = [sum(samples[i : i + channels]) / channels / top for i in range(0, size, channels)]
    assert rate == 8000
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, wanted, rtol=2e-7, atol=2e-7)


@given(place=st.integers(0, 43), value=st.integers(0, 255), cut=st.integers(0, 60))
def test_damaged_files_are_read_or_refused(path: Path, place: int, value: int, cut: int) -> None:
    write(path, list(range(8)), 2)
    raw = bytearray(path.read_bytes())
    raw[place] = value
    path.write_bytes(raw[: len(raw) - cut])
    try:
        read_wav(path)
    except DataError as error:
        assert "sound.wav" in str(error)  # noqa: PT017  # what may happen is either of two


def test_compressed_sound(path: Path) -> None:
    write(path, [0, 16384], 2)
    path.with_suffix(".wav.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_wav(path.with_suffix(".wav.gz"))[0].tolist() == [0.0, 0.5]


def coefficients(x: list[float], rate: int, window: int, step: int, count: int, filters: int) -> Any:
    """The definition, sum by sum."""
    y = [x[0]] + [x[t] - 0.97 * x[t - 1] for t in range(1, len(x))]
    y += [0.0] * (window - len(y))
    size = 1
    while size < window:
        size *= 2
    top = 2595 * math.log10(1 + rate / 2 / 700)
    corner = [700 * (10 ** (top * m / (filters + 1) / 2595) - 1) for m in range(filters + 2)]
    rows = []
    for start in range(0, len(y) - window + 1, step):
        frame = [
            y[start + n] * (0.54 - 0.46 * math.cos(2 * math.pi * n / (window - 1))) for n in range(window)
        ]
        power = [
            abs(sum(v * complex(math.cos(2 * math.pi * k * n / size), -math.sin(2 * math.pi * k * n / size))
                    for n, v in enumerate(frame))) ** 2 / size
            for k in range(size // 2 + 1)
        ]  # fmt: skip
        energies = []
        for m in range(filters):
            energy = 0.0
            for k, p in enumerate(power):
                f = k * rate / size
                if corner[m] <= f <= corner[m + 1]:
                    energy += p * (f - corner[m]) / (corner[m + 1] - corner[m])
                elif corner[m + 1] < f <= corner[m + 2]:
                    energy += p * (corner[m + 2] - f) / (corner[m + 2] - corner[m + 1])
            energies.append(math.log(max(energy, 1e-10)))
        rows.append([
            math.sqrt((1 if i == 0 else 2) / filters)
            * sum(e * math.cos(math.pi * i * (k + 0.5) / filters) for k, e in enumerate(energies))
            for i in range(count)
        ])  # fmt: skip
    return rows


@given(length=st.integers(1, 60), count=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_coefficients_equal_their_definition(length: int, count: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=length)
    found = mfcc(x, 1000, coefficients=count, filters=6)
    np.testing.assert_allclose(found, coefficients(x.tolist(), 1000, 25, 10, count, 6), rtol=1e-5, atol=1e-5)


def test_a_second_of_speech_has_about_a_hundred_frames_and_loudness_moves_only_the_first() -> None:
    rate = 8000
    x = np.sin(2 * np.pi * 440 * np.arange(rate) / rate) + np.random.default_rng(0).normal(0, 0.01, rate)
    quiet, loud = mfcc(x, rate), mfcc(10 * x, rate)
    assert quiet.shape == (1 + (8000 - 200) // 80, 13)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-3)
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], math.sqrt(26) * math.log(100), atol=1e-3)
    assert np.isfinite(mfcc(np.zeros(10), rate)).all()


def test_requests_that_make_no_sense() -> None:
    with pytest.raises(DataError, match=r"one channel of finite samples \(samples,\), not shape \(2, 3\)"):
        mfcc(np.zeros((2, 3)), 8000)
    with pytest.raises(DataError, match="finite"):
        mfcc([float("nan")], 8000)
    with pytest.raises(ConfigError, match="windows of 0 samples every 0"):
        mfcc([0.0], 1)
    with pytest.raises(ConfigError, match="27 coefficients of 26 filters"):
        mfcc([0.0], 8000, coefficients=27)
