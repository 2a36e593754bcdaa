# Takes calls in their order, runs user code, answers each once.

EXCEPTION <- "An exception occurred in the request. See the logs for details."
CANCELLED <- "The request was cancelled"
TOO_LARGE <- "The result is larger than 512 MiB; return large data as a file"

# Answers calls until the server says stop; FALSE when it is gone instead.
serve <- function(wire, start) {
    home <- getwd()
    repeat {
        frame <- receive(wire)
        if (is.null(frame)) return(FALSE)
        if (frame$kind == STOP) return(TRUE)
        if (frame$kind == INPUT_FILE) {
            path <- rawToChar(frame$payload[-(1:12)])
            Encoding(path) <- "UTF-8"
            wire$files <- c(wire$files, path)
            next
        }
        wire$call <- frame$payload[1:8]
        try(setwd(home), silent = TRUE)
        answer(wire, start, frame$payload)
        wire$call <- NO_CALL
        wire$files <- character()
        wire$sent <- 0L
        frame <- NULL
    }
}

answer <- function(wire, start, payload) {
    # An interrupt that came too late for the call before must not break off this one.
    tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(late) NULL)
    send(wire, STARTED, wire$call)
    flags <- as.integer(payload[9L])
    size <- readBin(payload[10:13], "integer", 1L, 4L, endian = "big")
    context <- payload[13L + seq_len(size)]
    body <- payload[seq_len(length(payload) - 13L - size) + 13L + size]
    outcome <- tryCatch(
        {
            data <- input_of(body, flags, start)
            given <- context_of(wire, context)
            many <- bitwAnd(flags, LIST_BODY) != 0L
            returned <- if (many) many_of(wire, start, data, given) else one_of(wire, start, data, given)
            if (is.null(returned$failure)) list(text = result_body(returned$value, start, many)) else returned
        },
        error = function(failure) list(failure = failure)
    )
    if (is.null(outcome$failure)) {
        bytes <- utf8(outcome$text)
        if (length(bytes) <= RESULT_MAX) return(send(wire, RESULT, c(wire$call, as.raw(0L), bytes)))
        return(send_error(wire, "output", TOO_LARGE))
    }
    fail(wire, outcome)
}

send_error <- function(wire, kind, message, public = NULL) {
    send(wire, ERROR, c(wire$call, failure_body(kind, message, public)))
}

fail <- function(wire, outcome) {
    failure <- outcome$failure
    if (inherits(failure, "interrupt")) return(send_error(wire, "cancelled", CANCELLED))
    if (inherits(failure, "modelyard_refusal")) return(send_error(wire, failure$kind, conditionMessage(failure)))
    note(wire, error_text(outcome), error = TRUE)
    send_error(wire, "exception", EXCEPTION, public_message(failure))
}

# What `request` gets: structured data as lists and vectors, plain data as text; for a list body, a list of these.
input_of <- function(body, flags, start) {
    text <- tryCatch(rawToChar(body), error = function(failure) refuse("input", "The request data holds a zero byte"))
    Encoding(text) <- "UTF-8"
    if (!validUTF8(text)) refuse("input", "The request data is not valid UTF-8")
    if (bitwAnd(flags, TEXT_BODY) != 0L) return(text)
    if (bitwAnd(flags, PACKED_BODY) != 0L) refuse("internal", "The request data is packed, which R does not read")
    many <- bitwAnd(flags, LIST_BODY) != 0L
    value <- tryCatch(jsonlite::parse_json(text), error = function(failure) {
        refuse("input", "The request data is not valid JSON: ", sub("\n.*", "", conditionMessage(failure)))
    })
    if (many && (!is.list(value) || !is.null(names(value)))) refuse("input", "The request data is not a list")
    if (start$input_type != "plain") {
        fields <- start$context$input_fields
        value <- if (length(start$input_files) == 0L) value else with_paths(value, many, start$input_files)
        return(if (many) lapply(value, typed, fields) else typed(value, fields))
    }
    if (many) return(lapply(value, plain_text))
    if (is.character(value)) value else trimws(text)
}

# The payload with the paths of its files where it names them: items in order, fields in their order, items of lists in order.
with_paths <- function(payload, many, fields) {
    paths <- wire$files
    used <- 0L
    path_for <- function(value) {
        if (!is.character(value)) return(value)
        used <<- used + 1L
        if (used > length(paths)) value else paths[used]
    }
    one <- function(item) {
        for (field in fields) {
            value <- item[[field$name]]
            if (is.null(value)) next
            item[[field$name]] <- if (field$data_type == "array_file") lapply(value, path_for) else path_for(value)
        }
        item
    }
    payload <- if (many) lapply(payload, one) else one(payload)
    if (used != length(paths)) {
        found <- "modelyard worker: the server broke the protocol: a call names %d files, and %d came\n"
        cat(sprintf(found, used, length(paths)), file = stderr())
        quit(save = "no", status = 70L, runLast = FALSE)
    }
    payload
}

# Structured data; empty arrays, which tell nothing of their items, become vectors of the type of their field.
typed <- function(value, fields) {
    value <- simplified(value)
    for (field in fields) {
        empty <- switch(field$data_type, array_int = integer(), array_double = double(), array_string = , array_file = character())
        if (!is.null(empty) && identical(value[[field$name]], list())) value[[field$name]] <- empty
    }
    value
}

plain_text <- function(value) if (is.character(value)) value else json_of(value)

context_of <- function(wire, bytes) {
    text <- rawToChar(bytes)
    Encoding(text) <- "UTF-8"
    context <- tryCatch(jsonlite::parse_json(text), error = function(failure) {
        refuse("internal", "The context of the request cannot be read: ", conditionMessage(failure))
    })
    call <- wire$call
    # Sends text to whoever follows the request; does nothing once it has ended. The relay holds it back when that is slow.
    context$streaming_update <- function(text) {
        if (!is.character(text) || length(text) != 1L) text <- paste(format(text), collapse = "\n")
        bytes <- utf8(text)
        if (length(bytes) > UPDATE_MAX) stop("a streaming update holds at most 1 MiB of text")
        if (identical(wire$call, call)) send(wire, UPDATE, c(call, bytes))
        invisible()
    }
    context
}

one_of <- function(wire, start, data, context) {
    if (is.null(user_function("request"))) refuse("exception", "The deployment has no function 'request'")
    values <- list(input_data = NULL, base_directory = start$base_directory, context = context)
    if (!is.null(data)) values$input_data <- data
    watched(wire, function() call_with("request", values))
}

many_of <- function(wire, start, items, context) {
    values <- vector("list", length(items))
    for (index in seq_along(items)) {
        returned <- one_of(wire, start, items[[index]], context)
        if (!is.null(returned$failure)) return(returned)
        if (!is.null(returned$value)) values[[index]] <- returned$value
    }
    list(value = values)
}
