# Makes the manual of the library from the comments of its header: licbak.3 from the opening, and a
# page for each function.
#
#     awk -v version=VERSION -v to=DIRECTORY -f functions.awk licbak.1 licbak.h
#
# The date of licbak.1 is that of all pages.

# ---- Text -----------------------------------------------------------------------------------

function escaped(text) {
    gsub(/\\/, "\\e", text)
    if (text ~ /^[.']/) text = "\\&" text
    return text
}

# Prose: names of the library's functions and structs, and what stands in backquotes, are bold.
function styled(text) {
    text = escaped(text)
    while (match(text, /`[^`]*`/))
        text = substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART + 1, RLENGTH - 2) "\\fR" \
            substr(text, RSTART + RLENGTH)
    gsub(/licbak_[a-z_]+/, "\\fB&\\fR", text)
    return text
}

# Prints a paragraph in lines that are not long.
function print_prose(text,    words, count, i, line) {
    count = split(text, words, " ")
    line = ""
    for (i = 1; i <= count; i++) {
        if (line != "" && length(line) + length(words[i]) > 72) {
            print styled(line) > page
            line = ""
        }
        line = line (line == "" ? "" : " ") words[i]
    }
    if (line != "") print styled(line) > page
}

# ---- The lines of a comment -----------------------------------------------------------------

function end_paragraph() {
    if (paragraph != "") print_prose(paragraph)
    paragraph = ""
}

function begin_section(title) {
    end_paragraph()
    if (title == section) return
    section = title
    print ".SH " title > page
    is_first = 1
}

# A blank line, or what has a macro of its own, ends a paragraph; the next one begins with .PP.
function begin_paragraph(text) {
    if (paragraph == "" && !is_first && !is_item) print ".PP" > page
    is_first = is_item = 0
    paragraph = paragraph " " text
}

function begin_item(macro) {
    end_paragraph()
    print macro > page
    is_first = 0
    is_item = 1
}

# A row whose first cell is empty goes on with the row above.
function take_row(line,    cells, count, i, cell) {
    if (line ~ /^\|[ |-]*$/) return # below the heading
    count = split(line, cells, "|")
    columns = count - 2
    cell = cells[2]
    gsub(/ /, "", cell)
    if (cell != "" || rows == 0) rows++
    for (i = 1; i <= columns; i++) {
        cell = cells[i + 1]
        gsub(/^ +| +$/, "", cell)
        if (cell != "") table[rows, i] = table[rows, i] (table[rows, i] == "" ? "" : " ") cell
    }
}

# Prints an item for each row, as tables are too wide for a terminal: its first cell, in brackets
# those between, and the last one below. "yes" is told by the heading of its column.
function end_table(    i, j, facts, cell) {
    if (rows == 0) return
    end_paragraph()
    for (i = 2; i <= rows; i++) {
        facts = ""
        for (j = 2; j < columns; j++) {
            cell = table[i, j] == "yes" ? table[1, j] : table[i, j]
            if (cell != "") facts = facts (facts == "" ? "" : ", ") cell
        }
        print ".TP\n.BR " table[i, 1] " \" (" escaped(facts) ")\"" > page
        print_prose(table[i, columns])
    }
    rows = is_first = 0
    delete table
}

function take_line(line) {
    if (line !~ /^\|/) end_table()
    if (line ~ /^@endcode/) {
        print ".EE" > page
        is_code = 0
    } else if (is_code) {
        print escaped(line) > page
    } else if (line ~ /^@code/) {
        end_paragraph()
        print ".PP\n.EX" > page
        is_code = 1
    } else if (line ~ /^@file/) {
        return
    } else if (line == "") {
        end_paragraph()
    } else if (line ~ /^\|/) {
        take_row(line)
    } else if (line ~ /^- /) {
        begin_item(".IP \\(bu 2")
        begin_paragraph(substr(line, 3))
    } else if (line ~ /^@param /) {
        begin_section("PARAMETERS")
        split(line, word, " ")
        begin_item(".TP\n.I " word[2])
        sub(/^@param [a-z_]+ /, "", line)
        begin_paragraph(line)
    } else if (line ~ /^@return /) {
        begin_section("RETURN VALUE")
        begin_paragraph(substr(line, 9))
    } else {
        begin_paragraph(line)
    }
}

# ---- Pages ----------------------------------------------------------------------------------

# The first sentence, as a line of NAME has it.
function summary(    text, i) {
    for (i = 1; i <= comment_lines && (comment[i] != "" || text == ""); i++)
        if (comment[i] !~ /^@/) text = text (text == "" ? "" : " ") comment[i]
    if (match(text, /\. [A-Z]/)) text = substr(text, 1, RSTART)
    sub(/\.$/, "", text)
    return tolower(substr(text, 1, 1)) substr(text, 2)
}

function print_page(name, synopsis,    i) {
    page = to "/" name ".3"
    section = paragraph = ""
    print ".TH " name " 3 " date " \"licbak " version "\" \"Library Functions Manual\"" > page
    print ".SH NAME\n" name " \\- " escaped(summary()) > page
    print ".SH SYNOPSIS\n.nf\n.B #include <licbak.h>" > page
    if (synopsis != "") print ".PP\n\\fB" synopsis "\\fR" > page
    print ".fi\n.PP\nLink with what\n.B pkg-config --cflags --libs licbak\nprints." > page
    begin_section("DESCRIPTION")
    for (i = 1; i <= comment_lines; i++) take_line(comment[i])
    end_table()
    end_paragraph()
    if (name == "licbak") return # its last section needs the names of all functions
    print ".SH SEE ALSO\n.BR licbak (1),\n.BR licbak (3)" > page
    close(page)
    names[++functions] = name
}

FNR == NR { # licbak.1
    if ($1 == ".TH") date = $4
    next
}

/^\/\*\*/ {
    comment_lines = 0
    is_comment = 1
    sub(/^\/\*\* */, "")
}

is_comment {
    is_last = /\*\//
    sub(/ *\*\/.*$/, "")
    sub(/^ \* ?/, "")
    comment[++comment_lines] = $0
    if (is_last) {
        is_comment = 0
        if (comment[2] ~ /^@file/) print_page("licbak")
    }
    next
}

/^LICBAK_API / {
    declaration = ""
    is_declaration = 1
}

is_declaration {
    declaration = declaration (declaration == "" ? "" : "\n") escaped($0)
    if (!/;$/) next
    is_declaration = 0
    sub(/LICBAK_API /, "", declaration)
    sub(/LICBAK_CALL /, "", declaration)
    match(declaration, /licbak_[a-z_]+\(/)
    print_page(substr(declaration, RSTART, RLENGTH - 1), declaration)
}

END {
    if (functions == 0) exit 1
    page = to "/licbak.3"
    print ".SH SEE ALSO\n.BR licbak (1)" > page
    for (i = 1; i <= functions; i++) print ".BR " names[i] " (3)" > page
}
