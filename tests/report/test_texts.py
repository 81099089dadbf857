"""Numbers and sentences of the report in words."""

from mammo_jax.files import display_bytes
from mammo_jax.report.texts import display_number, display_p_value, display_ratio, display_signed, storage_sentence


def test_storage_sentence_without_a_ratio():
    assert "nothing can be said" in storage_sentence({"outcome": "cannot tell"}, None)


def test_display():
    assert [display_ratio(ratio) for ratio in (15.0, 26.67, 11000.0)] == ["15", "26.67", "11\u202f000"]
    sizes = [0, 95, 999, 999.6, 5243, 99_960, 123_456, 999_600, 2.62e6, 2e9, 4e12]
    formatted = [
        "0 bytes",
        "95 bytes",
        "999 bytes",
        "1 kB",
        "5.24 kB",
        "100 kB",
        "123 kB",
        "1 MB",
        "2.62 MB",
        "2 GB",
        "4 TB",
    ]
    assert [display_bytes(size) for size in sizes] == formatted
    values = (0.0123, -0.05, -0.0004, 0.0)
    assert [display_signed(value) for value in values] == ["+0.012", "\u22120.050", "0.000", "0.000"]
    assert [display_number(value) for value in values] == ["0.012", "\u22120.050", "0.000", "0.000"]
    assert [display_p_value(value) for value in (0.0134, 0.0001, 0.00009)] == ["0.0134", "0.0001", "< 0.0001"]
