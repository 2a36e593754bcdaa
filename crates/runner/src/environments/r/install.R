# install.R LIBRARY REPOSITORY FILE…: fills a library of R packages, in the order of the files. An empty REPOSITORY is the host's
# own, as its site profile has it.
#
# Each is an `install_packages.R`, which is run, or a `renv.lock`, whose versions are installed. What fails is told in one
# line that begins with `modelyard: `; by itself R goes on when a package cannot be installed.
local({
    given <- commandArgs(trailingOnly = TRUE)
    target <- given[1L]
    hosts <- unname(getOption("repos")["CRAN"])
    repository <- if (nzchar(given[2L])) given[2L] else if (length(hosts) && hosts %in% c(NA, "@CRAN@")) "" else hosts
    repository <- sub("/+$", "", repository)
    dir.create(target, showWarnings = FALSE)
    .libPaths(c(target, .libPaths()))
    Sys.setenv(R_LIBS = target)
    options(repos = c(CRAN = if (nzchar(repository)) repository else "@CRAN@"), warn = 1, timeout = 600, menu.graphics = FALSE, useFancyQuotes = FALSE)

    fail <- function(...) {
        message("modelyard: ", gsub("\\s+", " ", gsub("[\u2018\u2019]", "'", paste0(...))))
        quit(save = "no", status = 1L, runLast = FALSE)
    }

    # What R only warns of, and what is a failure here.
    failure_in <- function(message) {
        message <- gsub("[\u2018\u2019]", "'", message)
        if (grepl("unable to access index for repository", message)) {
            return(sub(".*unable to access index for repository ([^ :]+:[^ :]+(:[0-9]+[^ :]*)?).*", "the repository \\1 cannot be read", gsub("\\s+", " ", message)))
        }
        if (grepl("not available", message)) {
            names <- regmatches(message, gregexpr("'[^']+'", message))[[1L]]
            kind <- if (grepl("dependenc", message)) "which another package needs, " else ""
            return(paste0("package ", names[1L], if (nzchar(kind)) ", " else " ", kind, missing))
        }
        if (grepl("had non-zero exit status|installation of one or more packages failed|download of package", message)) {
            name <- regmatches(message, regexpr("'[^']+'", message))
            return(paste("package", if (length(name)) name else "", "could not be installed"))
        }
        NULL
    }
    missing <- if (nzchar(repository)) paste("was not found at", repository) else "was not found: no repository is set on this server (r_repository)"

    guarded <- function(run, place) {
        tryCatch(
            withCallingHandlers(run(), warning = function(told) {
                problem <- failure_in(conditionMessage(told))
                if (!is.null(problem)) stop(problem, call. = FALSE)
            }),
            error = function(failure) fail(place, conditionMessage(failure))
        )
    }

    run_script <- function(file, name) {
        code <- tryCatch(parse(file, keep.source = TRUE, encoding = "UTF-8"), error = function(failure) {
            parts <- regmatches(conditionMessage(failure), regexec(":([0-9]+):[0-9]+: ([^\n]*)", conditionMessage(failure)))[[1L]]
            if (length(parts) == 3L) fail(name, " line ", parts[2L], ": ", parts[3L])
            fail(name, ": ", conditionMessage(failure))
        })
        lines <- vapply(attr(code, "srcref"), function(place) place[1L], 0L)
        for (index in seq_along(code)) {
            guarded(function() eval(code[[index]], globalenv()), paste0(name, " line ", lines[index], ": "))
        }
    }

    restore <- function(file, name) {
        lock <- tryCatch(jsonlite::read_json(file), error = function(failure) {
            fail(name, " is not valid JSON: ", sub("\n.*", "", conditionMessage(failure)))
        })
        packages <- lock$Packages
        if (!is.list(packages) || (length(packages) > 0L && is.null(names(packages)))) fail(name, " has no 'Packages'")
        version <- lock$R$Version
        here <- paste(R.version$major, R.version$minor, sep = ".")
        if (is.character(version) && !identical(sub("\\.[^.]*$", "", version), sub("\\.[^.]*$", "", here))) {
            message(name, " was made with R ", version, "; this is R ", here)
        }
        base <- rownames(utils::installed.packages(priority = "base"))
        packages <- packages[setdiff(names(packages), base)]
        if (length(packages) == 0L) return()
        repositories <- lapply(lock$R$Repositories, function(one) sub("/+$", "", one$URL))
        names(repositories) <- vapply(lock$R$Repositories, function(one) one$Name, "")
        shelf <- file.path(dirname(target), "restored", "src", "contrib")
        unlink(file.path(dirname(target), "restored"), recursive = TRUE)
        dir.create(shelf, recursive = TRUE)
        for (package in names(packages)) fetch(name, package, packages[[package]], repositories, shelf)
        tools::write_PACKAGES(shelf, type = "source")
        missing <<- "is not among its packages"
        local <- paste0("file://", file.path(dirname(target), "restored"))
        guarded(function() {
            utils::install.packages(names(packages), lib = target, repos = local, type = "source")
        }, paste0(name, ": "))
        unlink(file.path(dirname(target), "restored"), recursive = TRUE)
        missing <<- paste("was not found at", repository)
    }

    # One package of a lock: from where the lock says, but from the repository of this server in the place of CRAN.
    fetch <- function(name, package, record, repositories, shelf) {
        version <- record$Version
        if (!is.character(version) || !grepl("^[0-9][0-9.-]*$", version) || !grepl("^[A-Za-z][A-Za-z0-9.]*$", package)) {
            fail(name, ": package '", package, "' has no proper name and version")
        }
        source <- record$Source
        if (!identical(source, "Repository") && !identical(source, "CRAN")) {
            fail(name, ": package '", package, "' comes from ", source, ", and only packages of repositories can be installed; ",
                "install it in an install_packages.R")
        }
        from <- record$Repository
        from <- if (is.null(from) || identical(from, "CRAN")) repository else repositories[[from]]
        if (identical(from, "")) fail(name, ": package '", package, "' ", missing)
        if (is.null(from)) fail(name, ": package '", package, "' names the repository '", record$Repository, "', which the file does not define")
        file <- paste0(package, "_", version, ".tar.gz")
        for (folder in c("", paste0("/Archive/", package))) {
            url <- paste0(from, "/src/contrib", folder, "/", file)
            got <- tryCatch(
                suppressWarnings(utils::download.file(url, file.path(shelf, file), quiet = TRUE, mode = "wb")),
                error = function(failure) 1L
            )
            if (identical(as.integer(got), 0L)) {
                message("fetched ", url)
                return()
            }
            unlink(file.path(shelf, file))
        }
        there <- tryCatch(suppressWarnings(utils::available.packages(repos = from, type = "source", filters = list())),
            error = function(failure) NULL)
        newest <- if (package %in% rownames(there)) paste0("; the newest there is ", there[package, "Version"]) else ""
        if (length(there) == 0L) fail(name, ": the repository ", from, " cannot be read, from which package '", package, "' comes")
        fail(name, ": package '", package, "' ", version, " was not found at ", from, newest)
    }

    for (file in given[-(1:2)]) {
        name <- sub("^[0-9]+-", "", basename(file))
        if (name == "renv.lock") restore(file, name) else run_script(file, name)
    }
})
