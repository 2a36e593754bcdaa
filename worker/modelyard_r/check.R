# check.R DIR MAIN_FILE: looks at a package without running it and prints one line of JSON.
#
# `{"ok":true,"has_request":…,"has_requests":false}`, where a function that may come from elsewhere counts as there, or
# `{"ok":false,"message":…,"line":number or null}`.
local({
    given <- commandArgs(trailingOnly = TRUE)
    folder <- given[1L]
    name <- sub("(\\.R)?$", ".R", given[2L])
    say <- function(...) cat(jsonlite::toJSON(list(...), auto_unbox = TRUE, null = "null"), "\n", sep = "")
    broken <- function(message, line = NULL) {
        say(ok = FALSE, message = message, line = line)
        quit(save = "no", runLast = FALSE)
    }
    path <- file.path(folder, name)
    if (!utils::file_test("-f", path)) broken(paste0("The package has no file '", name, "'"))
    if (file.size(path) > 16 * 1024^2) broken(paste0(name, " is larger than 16 MiB"))
    code <- tryCatch(parse(path, keep.source = FALSE, encoding = "UTF-8"), error = function(failure) {
        message <- conditionMessage(failure)
        parts <- regmatches(message, regexec(":([0-9]+):[0-9]+: ([^\n]*)", message))[[1L]]
        if (length(parts) != 3L) broken(paste0(name, ": ", message))
        broken(paste0(name, " line ", parts[2L], ": ", parts[3L]), as.integer(parts[2L]))
    })
    # What brings functions in that cannot be seen from here.
    elsewhere <- c("source", "sys.source", "eval", "load", "attach", "assign", "list2env", "delayedAssign", "makeActiveBinding")
    found <- character()
    unknown <- FALSE
    look <- function(step) {
        if (!is.call(step)) return()
        head <- step[[1L]]
        if (is.call(head) && length(head) == 3L) head <- head[[3L]]
        head <- if (is.name(head)) as.character(head) else ""
        if (head %in% c("<-", "=", "<<-") && (is.name(step[[2L]]) || is.character(step[[2L]]))) {
            found <<- c(found, as.character(step[[2L]]))
            look(step[[3L]])
        } else if (head %in% elsewhere) {
            unknown <<- TRUE
        } else if (head != "function") {
            for (part in as.list(step)[-1L]) if (!missing(part)) look(part)
        }
    }
    for (step in code) look(step)
    if (!unknown && !"request" %in% found) broken(paste0(name, " has no function 'request'"))
    say(ok = TRUE, has_request = TRUE, has_requests = FALSE)
})
