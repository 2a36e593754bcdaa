# Says what went wrong in user code: the calls for the log, one sentence for the caller.

# Runs code of the user. Messages and warnings become lines of information; an error is noted with the calls that led to it.
# The answer is a list with `value`, or with `failure`, which is an error or an interrupt.
watched <- function(wire, run) {
    depth <- sys.nframe()
    trace <- NULL
    ours <- function() Sys.getpid() == wire$pid
    tryCatch(
        withCallingHandlers(
            list(value = allowInterrupts(run())),
            error = function(failure) trace <<- sys.calls(),
            message = function(told) {
                if (ours()) {
                    note(wire, conditionMessage(told))
                    invokeRestart("muffleMessage")
                }
            },
            warning = function(told) {
                if (ours()) {
                    note(wire, paste0("Warning", said_by(told), ": ", conditionMessage(told)))
                    invokeRestart("muffleWarning")
                }
            }
        ),
        error = function(failure) list(failure = failure, trace = shown_calls(trace, depth)),
        interrupt = function(failure) list(failure = failure)
    )
}

said_by <- function(failure) {
    call <- conditionCall(failure)
    if (is.null(call)) "" else paste0(" in ", one_line(call))
}

one_line <- function(call) {
    text <- paste(deparse(call, width.cutoff = 100L, nlines = 1L), collapse = " ")
    if (nchar(text) > 100L) paste0(substr(text, 1L, 97L), "...") else text
}

# The calls of user code, outermost first, each with its line where that is known.
shown_calls <- function(calls, depth) {
    head_of <- function(call) if (is.name(call[[1L]])) as.character(call[[1L]]) else ""
    # Below are ours, down to the `eval` that runs user code and has two frames.
    calls <- calls[-seq_len(min(length(calls), depth))]
    ours <- match("eval", vapply(calls, head_of, ""))
    calls <- calls[-seq_len(min(length(calls), ours + 1L))]
    # Above is our handler, and what R called to get there.
    calls <- calls[-length(calls)]
    for (above in c(".handleSimpleError", "stop")) {
        if (length(calls) > 0L && head_of(calls[[length(calls)]]) == above) calls <- calls[-length(calls)]
    }
    if (length(calls) > 50L) calls <- c(calls[1:25], list(quote(...)), calls[(length(calls) - 23L):length(calls)])
    vapply(calls, function(call) paste0("  ", line_of(call), one_line(call)), "")
}

line_of <- function(call) {
    place <- attr(call, "srcref")
    if (is.null(place)) return("")
    file <- attr(place, "srcfile")$filename
    if (is.null(file) || !nzchar(file)) "" else paste0(basename(file), " line ", place[1L], ": ")
}

# As R prints it.
error_text <- function(outcome) {
    told <- paste0("Error", said_by(outcome$failure), ": ", conditionMessage(outcome$failure))
    if (length(outcome$trace) > 0L) told <- paste(c(told, "Calls, the last one failed:", outcome$trace), collapse = "\n")
    told
}

# What the condition wants the caller of the request to read, if anything.
public_message <- function(failure) {
    text <- if (is.list(failure)) unclass(failure)[["public_error_message"]]
    if (is.null(text)) NULL else paste(as.character(text), collapse = " ")
}
