"""Sound files: every sample format by hand-written bytes, rates against a known tone, damage as one line."""

import io
import struct
import wave

import numpy as np
import pytest
import scipy.io.wavfile

from hubel.data.sound import read_sound, resample, write_sound
from hubel.errors import DataError, InputError

RATE = 8000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / RATE)


@pytest.mark.parametrize(("width", "top"), [(1, 127), (2, 2**15 - 1), (3, 2**23 - 1), (4, 2**31 - 1)])
@pytest.mark.parametrize("channels", [1, 2])
def test_integers_of_every_width(tmp_path, width, top, channels):
    whole = np.round(TONE * top).astype(np.int64)
    raw = b"".join((v + 128 if width == 1 else v).to_bytes(width, "little", signed=width > 1) * channels
                   for v in whole.tolist())
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((channels, width, RATE, 0, "NONE", ""))
        file.writeframes(raw)
    samples, rate = read_sound(tmp_path / "a.wav")
    assert rate == RATE and samples.dtype == np.float32 and samples.shape == (4000,)
    np.testing.assert_allclose(samples, whole / (top + 1), atol=1e-6)
    assert read_sound(tmp_path / "a.wav", mono=False)[0].shape == (4000, channels)


def test_floats_rates_and_round_trips(tmp_path):
    scipy.io.wavfile.write(tmp_path / "f.wav", RATE, TONE.astype(np.float32))
    np.testing.assert_array_equal(read_sound(tmp_path / "f.wav")[0], TONE.astype(np.float32))
    samples, rate = read_sound(tmp_path / "f.wav", rate=16000)
    want = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    assert rate == 16000
    np.testing.assert_allclose(samples[200:-200], want[200:-200], atol=2e-3)
    write_sound(tmp_path / "again.wav", TONE, RATE)
    np.testing.assert_allclose(read_sound(tmp_path / "again.wav")[0], TONE, atol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.wav", "f.wav"]
    with pytest.raises(InputError, match="rate=0"):
        resample(TONE, RATE, 0)


def test_other_formats_go_through_soundfile(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.flac", TONE, RATE)
    samples, rate = read_sound(tmp_path / "a.flac")
    assert rate == RATE
    np.testing.assert_allclose(samples, TONE, atol=1e-4)


def good() -> bytes:
    buffer = io.BytesIO()
    scipy.io.wavfile.write(buffer, RATE, (TONE * 32767).astype(np.int16))
    return buffer.getvalue()


def test_damage_is_one_line_that_names_the_file(tmp_path):
    whole = good()
    nan = io.BytesIO()
    scipy.io.wavfile.write(nan, RATE, np.full(50, np.nan, np.float32))
    silent = whole[:40] + struct.pack("<I", 0)
    cases = {"empty": b"", "short": whole[: len(whole) // 2], "head": whole[:30], "tiny": whole[:8], "text": b"hello" * 20,
             "nan": nan.getvalue(), "none": silent}
    for name, data in cases.items():
        path = tmp_path / f"{name}.wav"
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.wav") as caught:
            read_sound(path)
        assert "\n" not in str(caught.value)
    for path in (tmp_path / "missing.wav", tmp_path):
        with pytest.raises(DataError):
            read_sound(path)
