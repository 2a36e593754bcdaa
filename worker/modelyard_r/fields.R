# Output fields: which R values each data type takes, and how they become JSON.

mismatch <- function(found, place = "") {
    stop(structure(class = c("modelyard_mismatch", "error", "condition"),
        list(message = found, call = NULL, place = place)))
}

# The body of a result.
result_body <- function(value, start, many) {
    if (start$output_type == "plain") return(certain("The output", json_of(value)))
    if (many && is.list(value) && is.null(names(value))) {
        return(json_array(vapply(value, one_or_list, "", start$output_fields)))
    }
    one_or_list(value, start$output_fields)
}

one_or_list <- function(value, fields) {
    if (is.list(value) && is.null(names(value)) && length(value) > 0L) {
        return(json_array(vapply(value, object_of, "", fields)))
    }
    object_of(value, fields)
}

object_of <- function(value, fields) {
    if (length(fields) == 0L && (is.null(value) || identical(value, list()))) return("{}")
    if (!is.list(value) || (is.null(names(value)) && length(value) > 0L)) {
        refuse("output", "The request must return a named list with the output fields, but returned ", type_name(value))
    }
    names_of <- vapply(fields, function(field) field$name, "")
    extra <- setdiff(names(value), c(names_of, ""))
    if (length(extra) > 0L) {
        dropped <- paste(sort(extra)[seq_len(min(20L, length(extra)))], collapse = ", ")
        note(wire, paste0("Output that is not a field of the deployment was dropped: ", dropped))
    }
    parts <- vapply(fields, function(field) paste0(quoted(field$name), ":", field_of(field, value)), "")
    paste0("{", paste(parts, collapse = ","), "}")
}

field_of <- function(field, value) {
    if (!field$name %in% names(value)) {
        refuse("output", "The output field '", field$name, "' is missing in what the request returned")
    }
    found <- value[[field$name, exact = TRUE]]
    if (is.null(found)) return("null")
    tryCatch(
        certain(paste0("The output field '", field$name, "'"), converted(found, field$data_type)),
        modelyard_no_file = function(failure) {
            refuse("output", "The output field '", field$name, "' ", conditionMessage(failure))
        },
        modelyard_mismatch = function(failure) {
            refuse("output", "The output field '", field$name, "'", at(failure$place), " must be of type ",
                field$data_type, ", not ", conditionMessage(failure))
        }
    )
}

# A JSON text, or a failure for the caller that says where there is none.
certain <- function(subject, text) {
    tryCatch(text, error = function(failure) {
        if (inherits(failure, c("modelyard_mismatch", "modelyard_no_file"))) stop(failure)
        if (inherits(failure, "modelyard_no_json")) refuse("output", subject, " ", conditionMessage(failure))
        refuse("output", subject, " could not be converted: ", conditionMessage(failure))
    })
}

converted <- function(value, data_type) {
    if (startsWith(data_type, "array_")) return(array_of(value, substring(data_type, 7L)))
    if (data_type == "dict") return(dict_of(value))
    if (data_type == "file") return(file_of(value))
    if (!data_type %in% names(TAKES)) return(json_of(value))
    if (is.list(value) || !is.atomic(value) || length(value) != 1L) mismatch(type_name(value))
    typed_texts(value, data_type)
}

array_of <- function(value, item_type) {
    if (item_type == "file") return(json_array(vapply(as.list(value), file_of, "")))
    if (!item_type %in% names(TAKES)) return(json_of(I(value)))
    if (is.list(value) && is.null(names(value))) {
        texts <- lapply(seq_along(value), function(index) {
            item <- value[[index]]
            if (is.list(item) || !is.atomic(item) || length(item) != 1L) {
                mismatch(type_name(item), paste0("[[", index, "]]"))
            }
            typed_texts(item, item_type)
        })
        return(json_array(unlist(texts)))
    }
    if (is.list(value) || !is.atomic(value)) mismatch(type_name(value))
    json_array(typed_texts(value, item_type))
}

# What vectors a data type takes. A whole number is an int also where R keeps it as a double.
TAKES <- list(
    int = function(value) is.integer(value) || (is.double(value) && all(is.finite(value)) && all(value == trunc(value))),
    double = is.numeric,
    string = is.character,
    bool = is.logical
)

typed_texts <- function(value, data_type) {
    kind <- type_name(value)
    value <- plain_vector(value, "")
    if (anyNA(value)) return(item_texts(value, ""))
    if (!TAKES[[data_type]](value)) {
        if (data_type == "int" && is.double(value)) item_texts(value, "")
        mismatch(if (data_type == "int" && is.double(value)) paste0(kind, " with decimals") else kind)
    }
    if (data_type != "int" || is.integer(value)) return(item_texts(value, ""))
    sprintf("%.0f", value)
}

dict_of <- function(value) {
    if (is.environment(value)) mismatch(type_name(value))
    if (is.atomic(value) && length(value) > 0L && !is.null(names(value))) value <- as.list(value)
    if (!is.list(value) || (is.null(names(value)) && length(value) > 0L)) mismatch(type_name(value))
    if (length(value) == 0L) "{}" else json_of(value)
}

# A file, which the relay opens and sends, and what stands for it: which one it is, and where it goes. URIs stay.
file_of <- function(value) {
    place <- list()
    path <- value
    if (is.list(value)) {
        path <- value[["file"]]
        place <- value
        if (!is.character(path) || length(path) != 1L) mismatch("a list without a path in 'file'")
    }
    if (!is.character(path) || length(path) != 1L) mismatch(type_name(path))
    if (is.na(path)) return(item_texts(path, ""))
    if (startsWith(path, "ubiops-file://")) {
        if (length(place) > 0L) mismatch("a list with a URI in 'file'")
        return(quoted(path))
    }
    bucket <- text_of(place, "bucket")
    bucket_file <- text_of(place, "bucket_file")
    sprintf('{"descriptor":%d,"name":%s,"bucket":%s,"bucket_file":%s}', hand(path), quoted(basename(path)), bucket, bucket_file)
}

text_of <- function(place, name) {
    found <- place[[name]]
    if (is.null(found)) return("null")
    if (!is.character(found) || length(found) != 1L || is.na(found)) {
        mismatch(paste0("a list whose '", name, "' is of type ", type_name(found)))
    }
    quoted(found)
}

# Says which file is to be sent, and gives its number. What is no file is told with its field; the relay has the last word.
hand <- function(path) {
    if (wire$sent >= FILES_MAX) no_file("names one file more than the 1000 an answer may have")
    whole <- if (startsWith(path, "/")) path else file.path(getwd(), path)
    why <- if (!file.exists(whole)) "No such file or directory"
        else if (dir.exists(whole)) "Is a directory"
        else if (file.access(whole, 4L) != 0L) "Permission denied"
    if (!is.null(why)) no_file("names the file '", path, "', which cannot be read: ", why)
    send(wire, OUTPUT_FILE, c(wire$call, number(wire$sent), utf8(whole)))
    wire$sent <- wire$sent + 1L
    wire$sent - 1L
}

# What the text goes on about is the field.
no_file <- function(...) {
    stop(structure(class = c("modelyard_no_file", "error", "condition"), list(message = paste0(...), call = NULL)))
}
