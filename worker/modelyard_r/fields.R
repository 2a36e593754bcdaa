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
        modelyard_mismatch = function(failure) {
            refuse("output", "The output field '", field$name, "'", at(failure$place), " must be of type ",
                field$data_type, ", not ", conditionMessage(failure))
        }
    )
}

# A JSON text, or a failure for the caller that says where there is none.
certain <- function(subject, text) {
    tryCatch(text, error = function(failure) {
        if (inherits(failure, "modelyard_mismatch")) stop(failure)
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

# A path, absolute from here on since only this process knows its folder; URIs stay.
file_of <- function(value) {
    if (is.list(value)) {
        path <- value[["file"]]
        if (!is.character(path) || length(path) != 1L) mismatch("a list without a path in 'file'")
        value$file <- absolute(path)
        return(json_of(value))
    }
    if (!is.character(value) || length(value) != 1L) mismatch(type_name(value))
    if (is.na(value)) return(item_texts(value, ""))
    quoted(absolute(value))
}

absolute <- function(path) {
    if (startsWith(path, "ubiops-file://") || startsWith(path, "/")) path else file.path(getwd(), path)
}
