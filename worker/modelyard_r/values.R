# JSON into R values, and R values into JSON.

# What request data becomes: named lists, vectors where all items are of one kind, lists where they are not.
decoded <- function(text) simplified(jsonlite::parse_json(text))

simplified <- function(value) {
    if (!is.list(value)) return(value)
    if (!is.null(names(value)) || length(value) == 0L) return(lapply(value, simplified))
    kinds <- unique(vapply(value, typeof, ""))
    if (all(kinds %in% c("integer", "double")) || identical(kinds, "character") || identical(kinds, "logical")) {
        return(unlist(value, use.names = FALSE))
    }
    lapply(value, simplified)
}

# A failure whose text is for the caller of the request.
refuse <- function(kind, ...) {
    stop(structure(class = c("modelyard_refusal", "error", "condition"),
        list(message = paste0(...), call = NULL, kind = kind)))
}

# A value that JSON has no form for; who converts a field says which.
no_json <- function(...) {
    stop(structure(class = c("modelyard_no_json", "error", "condition"), list(message = paste0(...), call = NULL)))
}

at <- function(place) if (nzchar(place)) paste0(" at ", place) else ""

# What a value is, for a message.
type_name <- function(value) {
    if (is.null(value)) return("NULL")
    name <- class(value)[1L]
    if (is.atomic(value) && length(value) != 1L) paste0(name, " of length ", length(value)) else name
}

# The JSON text of any value. Lists with names are objects, other lists arrays; a vector of length 1 is a single value unless
# it is marked with `I()`, of any other length an array. Names of vectors are left out, matrices are arrays of rows.
json_of <- function(value, place = "") {
    if (is.null(value)) return("null")
    single <- !inherits(value, "AsIs")
    if (is.list(value) && !inherits(value, "POSIXlt")) return(json_of_list(value, place))
    value <- plain_vector(value, place)
    if (length(dim(value)) == 2L) {
        rows <- lapply(seq_len(nrow(value)), function(row) I(value[row, ]))
        return(json_of_items(rows, place))
    }
    items <- item_texts(value, place)
    if (single && length(items) == 1L) items else json_array(items)
}

json_array <- function(texts) paste0("[", paste(texts, collapse = ","), "]")

json_of_list <- function(value, place) {
    keys <- names(value)
    if (is.data.frame(value)) value <- lapply(value, function(column) if (is.list(column)) column else I(column))
    if (is.null(keys)) return(json_of_items(value, place))
    if (length(value) == 0L) return("{}")
    missing <- is.na(keys) | !nzchar(keys)
    if (any(missing)) no_json("holds a list", at(place), " in which only some items have names")
    texts <- mapply(function(item, key) json_of(item, paste0(place, "$", key)), value, keys, USE.NAMES = FALSE)
    paste0("{", paste(vapply(keys, quoted, "", USE.NAMES = FALSE), texts, sep = ":", collapse = ","), "}")
}

json_of_items <- function(items, place) {
    texts <- lapply(seq_along(items), function(index) json_of(items[[index]], paste0(place, "[[", index, "]]")))
    json_array(unlist(texts))
}

# A vector without what it is dressed in: factors become text, dates and times ISO 8601.
plain_vector <- function(value, place) {
    if (inherits(value, "factor")) return(as.character(value))
    if (inherits(value, "POSIXt")) {
        text <- format(as.POSIXct(value), "%Y-%m-%dT%H:%M:%OS6", tz = "UTC")
        return(ifelse(is.na(text), NA_character_, paste0(sub("\\.?0*$", "", text), "Z")))
    }
    if (inherits(value, "Date")) return(format(value, "%Y-%m-%d"))
    if (inherits(value, "difftime")) no_json("holds a difftime", at(place), "; return a number of seconds")
    if (is.raw(value)) no_json("holds raw bytes", at(place), "; return them as a file")
    if (!is.atomic(value) || is.complex(value)) {
        no_json("holds a value of class ", class(value)[1L], at(place), ", which JSON has no form for")
    }
    if (inherits(value, "integer64")) return(as.double(format(value)))
    value
}

# The texts of the items of a plain vector.
item_texts <- function(value, place) {
    bad <- if (is.numeric(value)) !is.finite(value) else is.na(value)
    if (any(bad)) {
        first <- which(bad)[1L]
        inside <- if (length(value) == 1L) place else paste0(place, "[", first, "]")
        no_json("holds ", format(value[[first]]), at(inside), ", which JSON cannot express")
    }
    switch(typeof(value),
        logical = ifelse(value, "true", "false"),
        integer = format_integers(value),
        double = format_doubles(value),
        character = format_texts(value, place)
    )
}

format_integers <- function(value) sprintf("%d", value)

# The shortest of two forms that gives the same number back.
format_doubles <- function(value) {
    value <- as.double(value)
    text <- sprintf("%.15g", value)
    longer <- as.double(text) != value
    text[longer] <- sprintf("%.17g", value[longer])
    text
}

format_texts <- function(value, place) {
    value <- enc2utf8(as.vector(value))
    if (!all(validUTF8(value))) no_json("holds text", at(place), " that is not valid UTF-8")
    vapply(value, quoted, "", USE.NAMES = FALSE)
}
