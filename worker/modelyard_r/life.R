# The life of a worker: says hello, loads the deployment, serves, stops.

# Where everything else finds the server.
wire <- NULL

live <- function(arguments) {
    given <- as.list(arguments[c(FALSE, TRUE)])
    names(given) <- sub("^--", "", arguments[c(TRUE, FALSE)])
    wire <<- open_wire(given$from, given$to)
    hello <- '{"protocol":1,"instance":"%s","epoch":%s,"process":%s,"r":"%s.%s"}'
    hello <- sprintf(hello, given$instance, given$epoch, given$process, R.version$major, R.version$minor)
    send(wire, HELLO, utf8(hello))
    suspendInterrupts(serve_until_stopped(wire))
    quit(save = "no", runLast = FALSE)
}

serve_until_stopped <- function(wire) {
    frame <- receive(wire)
    if (is.null(frame)) return()
    if (!requireNamespace("jsonlite", quietly = TRUE)) {
        # By hand: what writes JSON is what is missing.
        told <- '{"kind":"missing","message":"R has no package jsonlite here; ask the operator for it","public_error_message":null}'
        send(wire, FATAL, utf8(told))
        quit(save = "no", status = 1L, runLast = FALSE)
    }
    text <- rawToChar(frame$payload)
    Encoding(text) <- "UTF-8"
    start <- jsonlite::parse_json(text)
    began <- proc.time()[["elapsed"]]
    load_code(wire, start)
    loaded <- proc.time()[["elapsed"]]
    phase(wire, "import", loaded - began)
    run_init(wire, start)
    phase(wire, "init", proc.time()[["elapsed"]] - loaded)
    send(wire, READY, utf8('{"has_request":true,"has_requests":false}'))
    if (serve(wire, start)) {
        say_goodbye(wire)
        send(wire, STOPPED)
    }
}

phase <- function(wire, name, seconds) {
    send(wire, PHASE, utf8(sprintf('{"phase":"%s","micros":%.0f}', name, max(0, seconds) * 1e6)))
}

# R's own last word: the function `.Last` of the user's, if there is one.
say_goodbye <- function(wire) {
    last <- user_function(".Last")
    if (is.null(last)) return()
    outcome <- watched(wire, function() last())
    if (!is.null(outcome$failure)) note(wire, error_text(outcome), error = TRUE)
}
