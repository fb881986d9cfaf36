"""Name why an import leaves a row out, and what to do about each reason."""

from __future__ import annotations

from training.ingest import row_checks

NO_TIME = "text that is no time"
IMPLAUSIBLE_TIME = "time before 1990 or later than tomorrow"
TOO_FEW_CELLS = "line with too few cells"
TOO_MANY_CELLS = "line with too many cells"
UNCLOSED_QUOTE = "quote that is not closed"
NOT_UTF8 = "bytes that are not UTF-8"
LONG_LINE = "line of more than 64 MB"
NO_JSON = "line that is no JSON object"
REMEDIES = {
    row_checks.MISSING_VALUE: "fill it in, or drop such rows: interactions: {anonymous: drop} for rows without a user, "
    "else a condition under where",
    row_checks.WRONG_TYPE: "correct such cells, name what stands for nothing (missing: [...]), or omit the column",
    NO_TIME: "say how times are written (time_format: '%d/%m/%Y %H:%M'), or map another column",
    IMPLAUSIBLE_TIME: "say how times are written (time_format: '%Y%m%d', or time_unit: s|ms|us|ns), map another "
    "column, or drop such rows with a condition under where",
    TOO_FEW_CELLS: "correct the lines, or say how the file is written (delimiter, quote, escape)",
    TOO_MANY_CELLS: "correct the lines, or say how the file is written (delimiter, quote, escape)",
    UNCLOSED_QUOTE: "close the quote, or say that quotes mean nothing (quote: none) or what escapes them (escape)",
    NOT_UTF8: "say which encoding the file has (encoding: latin-1)",
    LONG_LINE: "break the line, or close its quote",
    NO_JSON: "write one JSON object a line",
}
ANONYMOUS = "anonymous"
WHERE = "where"
FIRST_OF = "first_of"
EVENT_TYPE = "event type"
"""Rules by which a map drops rows; the last is followed by the type."""
