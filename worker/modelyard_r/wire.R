# Frames over the two pipes to the relay: u32 length, u8 kind, payload; docs/worker-protocol.md has them all.

HELLO <- 0x01; PHASE <- 0x02; READY <- 0x03; STARTED <- 0x04; LOG <- 0x05
UPDATE <- 0x06; RESULT <- 0x07; ERROR <- 0x08; FATAL <- 0x09; STOPPED <- 0x0A
OUTPUT_FILE <- 0x0B
START <- 0x40; CALL <- 0x41; STOP <- 0x44; INPUT_FILE <- 0x46

FILES_MAX <- 1000L

TEXT_BODY <- 1L; LIST_BODY <- 2L; PACKED_BODY <- 4L

LOG_TEXT_MAX <- 60L * 1024L
UPDATE_MAX <- 1024L * 1024L
RESULT_MAX <- 512L * 1024L * 1024L
SENTENCE_MAX <- 4000L

NO_CALL <- raw(8L)

# Both ends; whoever opens them waits for nobody, since the relay holds the other ends already.
open_wire <- function(from, to) {
    wire <- new.env(parent = emptyenv())
    wire$input <- file(from, "rb", raw = TRUE)
    wire$output <- file(to, "wb", raw = TRUE)
    wire$pid <- Sys.getpid()
    # The call user code is in, as its eight bytes; `NO_CALL` between calls.
    wire$call <- NO_CALL
    # Where the files of the next call lie, and how many files of the answer were sent.
    wire$files <- character()
    wire$sent <- 0L
    wire
}

number <- function(value) writeBin(as.integer(value), raw(), endian = "big")

utf8 <- function(text) charToRaw(enc2utf8(text))

# Sends one frame, whole, whatever interrupts come. A forked child has our memory, but must not talk to the server.
send <- function(wire, kind, payload = raw()) {
    if (Sys.getpid() != wire$pid) return(invisible(FALSE))
    suspendInterrupts({
        writeBin(c(number(1L + length(payload)), as.raw(kind), payload), wire$output)
        flush(wire$output)
    })
    invisible(TRUE)
}

# The next frame; NULL when there will be none any more.
receive <- function(wire) {
    size <- readBin(wire$input, "integer", 1L, 4L, endian = "big")
    if (length(size) == 0L) return(NULL)
    data <- readBin(wire$input, "raw", size)
    if (length(data) < size) return(NULL)
    list(kind = as.integer(data[1L]), payload = data[-1L])
}

# Whole lines of log of the call in work: information, or an error.
note <- function(wire, text, error = FALSE) {
    bytes <- utf8(sub("\n$", "", paste(text, collapse = "\n")))
    if (any(bytes == 0)) bytes <- bytes[bytes != 0]
    while (length(bytes) > 0L) {
        size <- min(length(bytes), LOG_TEXT_MAX)
        # Never within a character.
        while (size < length(bytes) && bitwAnd(as.integer(bytes[size + 1L]), 0xC0L) == 0x80L) size <- size - 1L
        send(wire, LOG, c(wire$call, as.raw(error), bytes[seq_len(size)]))
        bytes <- bytes[-seq_len(size)]
    }
}

quoted <- function(text) {
    text <- iconv(enc2utf8(text), "UTF-8", "UTF-8", sub = "byte")
    json <- jsonlite::toJSON(text)
    substr(json, 2L, nchar(json) - 1L)
}

# The body of an error or fatal frame.
failure_body <- function(kind, message, public = NULL) {
    public <- if (is.null(public)) "null" else quoted(substr(public, 1L, SENTENCE_MAX))
    message <- quoted(substr(message, 1L, SENTENCE_MAX))
    utf8(sprintf('{"kind":"%s","message":%s,"public_error_message":%s}', kind, message, public))
}
