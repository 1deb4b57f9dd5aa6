# Reads a CSV file (RFC 4180: quoted fields, doubled quotes, newlines inside quotes; LF or CRLF) and prints a line
# `label <tab> text` for each row; tabs and newlines inside a field become spaces. Stops at the first row that is broken.
# Reads bytes (LC_ALL=C).
BEGIN {
  file = ENVIRON["FILE_NAME"]
  text_column = ENVIRON["TEXT_COLUMN"]
  label_column = ENVIRON["LABEL_COLUMN"]
}

NR == 1 { sub(/^\357\273\277/, "") }  # byte order mark

/[\200-\377]/ && !is_utf8($0) {
  stop(NR, "not UTF-8 text; for a file in a Windows code page, make a copy with: iconv -f WINDOWS-1252 -t UTF-8")
}

{
  if (!open) { record = $0; begin = NR } else record = record "\n" $0
  quotes = gsub(/"/, "\"", $0)
  if (quotes % 2 == 1) open = !open
  if (!open) row(record)
}

END {
  if (failed) exit 1
  if (open) stop(begin, "a quote is opened and never closed")
  if (!columns) stop(1, "the file is empty")
  if (!rows) stop(1, "there is no row after the header")
}

function stop(line, message) {
  print file ":" line ": " message | "cat >&2"
  close("cat >&2")
  failed = 1
  exit 1
}

# Well-formed sequences only (RFC 3629): nothing overlong, no surrogates, nothing above U+10FFFF.
function is_utf8(line) {
  gsub(/[\302-\337][\200-\277]/, ".", line)
  gsub(/[\341-\354\356\357][\200-\277][\200-\277]/, ".", line)
  gsub(/\340[\240-\277][\200-\277]/, ".", line)
  gsub(/\355[\200-\237][\200-\277]/, ".", line)
  gsub(/\360[\220-\277][\200-\277][\200-\277]/, ".", line)
  gsub(/[\361-\363][\200-\277][\200-\277][\200-\277]/, ".", line)
  gsub(/\364[\200-\217][\200-\277][\200-\277]/, ".", line)
  return line !~ /[\200-\377]/
}

function row(record,    count) {
  sub(/\r$/, "", record)
  if (record == "") return
  count = split_fields(record)
  if (count < 0) stop(begin, "text follows a closing quote")
  if (!columns) { header(count); return }
  if (count != columns) stop(begin, "expected " columns " fields as in the header, got " count)
  if (field[label_at] == "") stop(begin, "the label is empty")
  gsub(/[\t\r\n]+/, " ", field[text_at])
  gsub(/[\t\r\n]+/, " ", field[label_at])
  print field[label_at] "\t" field[text_at]
  rows++
}

function header(count,    i, names) {
  columns = count
  for (i = 1; i <= count; i++) {
    if (field[i] == text_column) text_at = i
    if (field[i] == label_column) label_at = i
    names = names (i > 1 ? ", " : "") field[i]
  }
  if (!text_at) stop(begin, "there is no column '" text_column "'; there are: " names)
  if (!label_at) stop(begin, "there is no column '" label_column "'; there are: " names)
}

# Fills field[1..n], returns n, or -1 for a broken record.
function split_fields(record,    n, at) {
  if (index(record, "\"") == 0) return split(record, field, ",")
  n = 0
  for (;;) {
    n++
    if (substr(record, 1, 1) == "\"") {
      record = substr(record, 2)
      field[n] = ""
      while (at = index(record, "\"")) {
        field[n] = field[n] substr(record, 1, at - 1)
        record = substr(record, at + 1)
        if (substr(record, 1, 1) != "\"") break
        field[n] = field[n] "\""
        record = substr(record, 2)
      }
      if (record == "") return n
      if (substr(record, 1, 1) != ",") return -1
      record = substr(record, 2)
    } else {
      at = index(record, ",")
      if (!at) { field[n] = record; return n }
      field[n] = substr(record, 1, at - 1)
      record = substr(record, at + 1)
    }
  }
}
