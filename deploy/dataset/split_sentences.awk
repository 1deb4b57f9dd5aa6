# Reads one licence, prints a line `FAMILY <tab> sentence` for each of its sentences.
#
# The family is the name without the version (GPL for GPL-2): versions of one licence share most of their sentences, so
# the question which version a sentence comes from has no answer. A sentence of more than 16 words is cut after a comma
# into pieces, because legal ones run to hundreds.
BEGIN {
  RS = ""  # a record is a paragraph
  family = ENVIRON["LICENCE"]
  sub(/-.*/, "", family)
}

{
  gsub(/[ \t\r\n\f]+/, " ")
  gsub(/[^ -~]/, "")
  # An end of a sentence, followed by what can begin one.
  while (match($0, /[.;:?!]["')]* +["'(]*[A-Z0-9]/)) {
    emit(substr($0, 1, RSTART))
    $0 = substr($0, RSTART + 1)
  }
  emit($0)
}

function emit(sentence,    words, count, i, piece, length_of_piece) {
  # Numbers and marks of a list say where a sentence stands, not what it says.
  while (sub(/^[ "'*)(.;:-]*(\(?[A-Za-z0-9]\)|[0-9]+(\.[0-9]+)*\.?)? +/, "", sentence)) continue
  sub(/ +$/, "", sentence)
  count = split(sentence, words, " ")
  if (count < 4) return
  for (i = 1; i <= count; i++) {
    piece = piece (length_of_piece ? " " : "") words[i]
    length_of_piece++
    if (length_of_piece >= 16 && count - i >= 8 && words[i] ~ /[,;:]$/) {
      print family "\t" piece
      piece = ""
      length_of_piece = 0
    }
  }
  print family "\t" piece
}
