# Entry point: loads the worker into an environment of its own, out of the way of user code, and runs it.
local({
    here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1L]))
    worker <- new.env(parent = baseenv())
    for (part in c("wire", "values", "fields", "failures", "loading", "serving", "life")) {
        sys.source(file.path(here, paste0(part, ".R")), worker)
    }
    worker$live(commandArgs(trailingOnly = TRUE))
})
