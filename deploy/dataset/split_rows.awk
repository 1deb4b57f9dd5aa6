# Reads lines `label <tab> text`, writes train.csv and test.csv to OUT and says on standard error what they hold.
BEGIN {
  out = ENVIRON["OUT"]
  for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
}

{
  tab = index($0, "\t")
  label = substr($0, 1, tab - 1)
  text = substr($0, tab + 1)
  key = tolower(text)
  gsub(/[^a-z\200-\377]+/, " ", key)
  gsub(/^ | $/, "", key)
  if (key == "") key = text  # nothing but digits and marks: they are all there is to tell it by
  if (!(key in label_of)) {
    count++
    key_at[count] = key
    text_at[count] = text
    label_of[key] = label
  } else if (label_of[key] != label) {
    ambiguous[key] = 1
  } else {
    repeated++
  }
}

END {
  train = out "/train.csv"
  test = out "/test.csv"
  print ENVIRON["COLUMNS_LINE"] > train
  print ENVIRON["COLUMNS_LINE"] > test
  for (i = 1; i <= count; i++) {
    key = key_at[i]
    if (key in ambiguous) { dropped++; continue }
    label = label_of[key]
    # Out of 20 hash values 3 go to the test: 15 %.
    if (hash(key) % 20 < 3) { print quote(text_at[i]) "," quote(label) > test; tests++; tested[label]++ }
    else { print quote(text_at[i]) "," quote(label) > train; trains++; if (!trained[label]++) labels++ }
  }
  close(train)
  close(test)
  # The baseline that the training reports: always answer the label that is the most frequent of those trained on.
  for (label in trained) if (trained[label] > most || (trained[label] == most && label < guess)) { most = trained[label]; guess = label }
  if (labels < 2 || !tests) {
    print "too few rows: " trains + 0 " to train with, " tests + 0 " to test with, " labels + 0 " labels" | "cat >&2"
    exit 1
  }
  printf "%d rows to train with, %d to test with, %d labels; always answering \"%s\" is right for %.1f %% of the test\n",
         trains, tests, labels, guess, 100 * tested[guess] / tests | "cat >&2"
  printf "left out: %d repeated, %d that stand under several labels\n", repeated, dropped | "cat >&2"
}

function quote(field) {
  gsub(/"/, "\"\"", field)
  return "\"" field "\""
}

function hash(key,    h, i, length_of_key) {
  h = 5381
  length_of_key = length(key)
  for (i = 1; i <= length_of_key; i++) h = (h * 65599 + code[substr(key, i, 1)]) % 2147483647
  return int(h / 7)  # the low digits of short keys alone are too regular
}
