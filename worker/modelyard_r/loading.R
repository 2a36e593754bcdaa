# Brings the user's package in: its folder, its main file, its functions.

fatal <- function(wire, kind, message, public = NULL) {
    send(wire, FATAL, failure_body(kind, message, public))
    quit(save = "no", status = 1L, runLast = FALSE)
}

# The path of the main file, whose name may come with or without its extension; NULL when there is none.
main_file <- function(folder, name) {
    name <- if (endsWith(name, ".R")) name else paste0(name, ".R")
    path <- file.path(folder, name)
    outside <- startsWith(name, "/") || ".." %in% strsplit(name, "/", fixed = TRUE)[[1L]]
    if (outside || !utils::file_test("-f", path)) NULL else path
}

load_code <- function(wire, start) {
    if (!isTRUE(tryCatch({ setwd(start$base_directory); TRUE }, error = function(failure) FALSE))) {
        fatal(wire, "missing", "The package folder cannot be entered")
    }
    path <- main_file(start$base_directory, start$main_file)
    name <- sub("(\\.R)?$", ".R", start$main_file)
    if (is.null(path)) fatal(wire, "missing", paste0("The package has no file '", name, "'"))
    code <- tryCatch(parse(path, keep.source = TRUE, encoding = "UTF-8"), error = function(failure) {
        fatal(wire, "import", parse_message(name, conditionMessage(failure)))
    })
    lines <- vapply(attr(code, "srcref"), function(place) place[1L], 0L)
    for (index in seq_along(code)) {
        outcome <- watched(wire, function() eval(code[[index]], globalenv()))
        if (!is.null(outcome$failure)) {
            note(wire, error_text(outcome), error = TRUE)
            said <- paste0(name, " line ", lines[index], ": ", conditionMessage(outcome$failure))
            fatal(wire, "import", said, public_message(outcome$failure))
        }
    }
}

# `deployment.R:3:5: unexpected symbol`, and the lines around it, as one sentence.
parse_message <- function(name, message) {
    parts <- regmatches(message, regexec(":([0-9]+):[0-9]+: ([^\n]*)", message))[[1L]]
    if (length(parts) == 3L) paste0(name, " line ", parts[2L], ": ", parts[3L]) else paste0(name, ": ", message)
}

# A function of the user's, or NULL.
user_function <- function(name) {
    if (exists(name, envir = globalenv(), mode = "function", inherits = FALSE)) {
        get(name, envir = globalenv(), mode = "function", inherits = FALSE)
    }
}

# Calls a function of the user's with as many of the values as it takes, in their order. By name, for the sake of tracebacks.
call_with <- function(name, values) {
    takes <- names(formals(args(user_function(name))))
    if (!"..." %in% takes) values <- values[seq_len(min(length(values), length(takes)))]
    eval(as.call(lapply(c(name, names(values)), as.name)), list2env(values, parent = globalenv()))
}

run_init <- function(wire, start) {
    init <- user_function("init")
    if (is.null(user_function("request"))) {
        fatal(wire, "missing", paste0(sub("(\\.R)?$", ".R", start$main_file), " has no function 'request'"))
    }
    if (is.null(init)) return(invisible())
    outcome <- watched(wire, function() {
        call_with("init", list(base_directory = start$base_directory, context = start$context))
    })
    if (!is.null(outcome$failure)) {
        note(wire, error_text(outcome), error = TRUE)
        message <- "Failed to initialise the deployment. See the logs for details."
        fatal(wire, "init", message, public_message(outcome$failure))
    }
}
