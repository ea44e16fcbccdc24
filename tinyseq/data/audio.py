"""Speech as a sequence: WAV files, and the cepstral coefficients of their frames."""

import io
import wave
from typing import Any

import numpy as np

from tinyseq.data.files import PathLike, located, opened
from tinyseq.errors import ConfigError, DataError

Array = np.ndarray[Any, Any]
SILENCE = 1e-10
"""The least energy of a filter: the logarithm of none would be infinite."""


def read_wav(path: PathLike) -> tuple[Array, int]:
    """The samples, float32 (samples,) from -1 to 1, and the sampling rate in Hz; channels are averaged.

    Raises DataError for a file that is no PCM of 8, 16, 24 or 32 bits.
    """
    with opened(path) as file:
        content = io.BytesIO(file.read())
    try:
        with wave.open(content) as sound:
            width, channels, rate = sound.getsampwidth(), sound.getnchannels(), sound.getframerate()
            raw = sound.readframes(sound.getnframes())
    except (wave.Error, EOFError, RuntimeError, ValueError) as error:
        cause = str(error) or "it ends too early"
        raise DataError(f"{located(path)} is no WAV file of PCM samples: {cause}.") from None
    size = width * channels
    if width not in (1, 2, 3, 4) or channels < 1 or rate < 1 or len(raw) < size:
        raise DataError(
            f"{located(path)} holds no sound that can be read: {len(raw)} bytes of {8 * width} bits, "
            f"{channels} channels, {rate} Hz."
        )
    return _samples(raw[: len(raw) // size * size], width).reshape(-1, channels).mean(1, np.float32), rate


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
    if length < 2 or hop < 1 or not 1 <= coefficients <= filters:
        raise ConfigError(
            f"mfcc(): windows of {length} samples every {hop}, and {coefficients} coefficients of {filters} "
            "filters, make no sense: coefficients are 1 to filters, and a window 2 samples or more."
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
