"""Speech as a sequence: WAV files, and the cepstral coefficients of their frames."""

import importlib
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinyseq.data.files import PathLike, located, opened
from tinyseq.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]
SILENCE = 1e-10
"""The least energy of a filter: the logarithm of none would be infinite."""


MAX_BYTES = 2**28  # of one recording, decompressed: a file of 260 KiB may hold them
RATES = (1, 10_000_000)  # Hz
MAX_WINDOW = 2**18  # samples


def read_wav(path: PathLike) -> tuple[Array, int]:
    """The samples, float32 (samples,) from -1 to 1, and the sampling rate in Hz; channels are averaged.

    Reads PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, also as WAVE_FORMAT_EXTENSIBLE, and sizes that
    a pipe left open; with soundfile (the extra `sound`) other formats as well, such as FLAC and Ogg. Raises
    DataError, in one sentence, for any other file, and for a WAV file that is cut short.
    """
    with opened(path) as file:
        content = file.read(MAX_BYTES + 1)
    try:
        return _decoded(content)
    except (_NoSound, struct.error) as error:
        said, found = str(error), None
        if isinstance(error, _OtherFormat):
            try:
                found = _by_soundfile(content)
            except ImportError:
                said += ", and soundfile, which reads others, is not installed (pip install 'tinyseq[sound]')"
        if found is not None:
            return found
        raise DataError(
            f"{located(path)} is no WAV file that can be read: {said}. Other programs convert it: "
            "ffmpeg -i FILE -c:a pcm_s16le NEW.wav."
        ) from None


class _NoSound(Exception):
    """What is wrong with a WAV file."""


class _OtherFormat(_NoSound):
    """It is none of those that are read here."""


def _by_soundfile(content: bytes) -> tuple[Array, int] | None:
    """Samples and rate of other formats, or None if soundfile knows none. Raises ImportError without it."""
    soundfile = importlib.import_module("soundfile")
    with tempfile.TemporaryDirectory() as folder:  # in memory, damaged ones end in errors of a callback
        path = Path(folder) / "sound"
        path.write_bytes(content)
        try:
            with soundfile.SoundFile(path) as file:
                rate, size = int(file.samplerate), 4 * file.frames * file.channels
                if not (0 < size <= MAX_BYTES and RATES[0] <= rate <= RATES[1]):
                    return None
                samples = file.read(dtype="float32", always_2d=True)
        except (RuntimeError, ValueError, TypeError):
            return None
    if not samples.size or not np.isfinite(samples).all():
        return None
    return samples.mean(1, dtype=np.float32), rate


PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def _decoded(content: bytes) -> tuple[Array, int]:
    if len(content) > MAX_BYTES:
        raise _NoSound(f"it has more than {MAX_BYTES / 2**20:g} MiB")
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise _OtherFormat("it does not begin with RIFF and WAVE")
    form, data = None, None
    at = 12
    while at + 8 <= len(content) and data is None:
        kind, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        body = content[at + 8 : at + 8 + size]
        if kind == b"fmt ":
            form = struct.unpack("<HHIIHH", body[:16])
            if form[0] == EXTENSIBLE and len(body) >= 26:
                form = (int.from_bytes(body[24:26], "little"), *form[1:])
        elif kind == b"data":
            if len(body) < size and size < 0xFFFFFF00:  # a pipe does not know its length
                raise _NoSound(f"it ends after {len(body):,} of {size:,} bytes of sound")
            data = body
        at += 8 + size + size % 2
    if form is None or data is None:
        raise _NoSound(f"it has no {'format' if form is None else 'data'}")
    tag, channels, rate, _, _, bits = form
    if (tag, bits) not in [(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)]:
        name = {PCM: "PCM", FLOAT: "float"}.get(tag, f"format {tag}")
        raise _OtherFormat(f"it holds {name} of {bits} bits, and PCM of 8 to 32 bits or floats are read")
    size = bits // 8 * channels
    if channels < 1 or not RATES[0] <= rate <= RATES[1] or len(data) < size:
        raise _NoSound(f"it says {len(data)} bytes of sound, {channels} channels, {rate} Hz")
    whole = data[: len(data) // size * size]
    samples = np.frombuffer(whole, f"<f{bits // 8}") if tag == FLOAT else _samples(whole, bits // 8)
    if not np.isfinite(samples).all():
        raise _NoSound("it has samples that are not finite")
    return samples.reshape(-1, channels).mean(1, np.float32), rate


def _samples(raw: bytes, width: int) -> Array:
    if width == 1:  # the only unsigned one
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    parts = np.frombuffer(raw, np.uint8).reshape(-1, width)
    words = np.zeros((len(parts), 4), np.uint8)
    words[:, 4 - width :] = parts  # little-endian: the sample becomes the high bytes of 32 bits
    return (words.reshape(-1).view("<i4") / 2**31).astype(np.float32)


def mfcc(
    samples: Any,
    rate: int,
    *,
    window: float = 0.025,
    step: float = 0.010,
    coefficients: int = 13,
    filters: int = 26,
    emphasis: float = 0.97,
) -> Array:
    """Mel-frequency cepstral coefficients, float32 (frames, coefficients), of sound (samples,).

    Frames of `window` seconds begin every `step` seconds; sound shorter than one is filled up with zeros.
    Each frame of y_t = x_t - emphasis x_(t-1), under a Hamming window, gives the power of its spectrum; the
    logarithms e_k of its sums under `filters` triangles, equally wide on the mel scale, give

        c_i = sqrt((1 or 2) / filters) sum_k e_k cos(pi i (k + 1/2) / filters),    1 for i = 0, else 2

    Sources: Davis and Mermelstein (1980), equation 1; mel(f) = 2595 log10(1 + f / 700), O'Shaughnessy (1987).
    """
    x = np.asarray(samples, np.float64)
    length, hop = round(window * rate), round(step * rate)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise DataError(f"mfcc() takes one channel of finite samples (samples,), not shape {x.shape}.")
    if length > MAX_WINDOW or length < 2 or hop < 1 or not 1 <= coefficients <= filters:
        raise ConfigError(
            f"mfcc(): windows of {length} samples every {hop}, and {coefficients} coefficients of {filters} "
            "filters, make no sense: coefficients are 1 to filters, and a window 2 to "
            f"{MAX_WINDOW:,} samples."
        )
    y = np.append(x[0], x[1:] - emphasis * x[:-1])
    y = np.pad(y, (0, max(0, length - len(y))))
    frames = np.lib.stride_tricks.sliding_window_view(y, length)[::hop] * np.hamming(length)
    size = 1 << (length - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, size)) ** 2 / size
    energies = np.log(np.maximum(power @ _mel_filters(filters, size, rate).T, SILENCE))
    i, k = np.arange(coefficients)[:, None], np.arange(filters)
    cosines = np.cos(np.pi * i * (k + 0.5) / filters) * np.sqrt(np.where(i == 0, 1, 2) / filters)
    found: Array = (energies @ cosines.T).astype(np.float32)
    return found


def _mel_filters(count: int, size: int, rate: int) -> Array:
    """Triangles (count, size // 2 + 1) over the frequencies of a spectrum, each 1 in its middle."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, count + 2) / 2595) - 1)
    low, middle, high = (corners[i : i + count, None] for i in range(3))
    f = np.arange(size // 2 + 1) * rate / size
    triangles: Array = np.clip(np.minimum((f - low) / (middle - low), (high - f) / (high - middle)), 0, None)
    return triangles
