//! Request data as R values, and R values as results.

use super::*;

/// Gives back what an expression in R comes to, with the input as `x`.
const EVALUATE: &str = "
    request <- function(input_data, base_directory, context) {
        x <- input_data$x
        list(y = eval(parse(text = input_data$code)))
    }
";

both! {
    async fn inputs_become_r_values(server) {
        let code = "
            request <- function(input_data) {
                list(y = paste(vapply(input_data, function(one) paste(deparse(one), collapse = ''), ''), collapse = ' '))
            }
        ";
        let fields = "a:int, b:double, c:string, d:bool, e:array_int, f:array_double, g:array_string, h:dict, i:string";
        let deployment = running(&server, fields, "y:string", code).await;
        let data = json!({
            "a": 1, "b": 2.5, "c": "ü\"", "d": true, "e": [1, 2], "f": [], "g": ["x"], "h": {"k": [1, "a", null], "n": {}}, "i": null
        });
        assert_snapshot!(deployment.ask(data).await.outcome(), @r#"completed {"y":"1L 2.5 \"ü\\\"\" TRUE 1:2 numeric(0) \"x\" list(k = list(1L, \"a\", NULL), n = structure(list(), names = character(0))) NULL"}"#);
    }

    async fn results_follow_the_types_of_their_fields(server) {
        for (kind, cases) in [
            ("int", &[("5L", "5"), ("5", "5"), ("2^40", "1099511627776"), ("NULL", "null"), ("5.5", ""), ("'5'", ""), ("TRUE", ""), ("1:2", ""), ("NA_integer_", ""), ("list(1)", "")][..]),
            ("double", &[("0.1", "0.1"), ("1/3", "0.3333333333333333"), ("2L", "2"), ("1e300", "1e+300"), ("NaN", ""), ("Inf", ""), ("TRUE", ""), ("NA", "")][..]),
            ("string", &[("'a\\u00fc\\n'", "\"aü\\n\""), ("factor('f')", "\"f\""), ("as.Date('2024-02-29')", "\"2024-02-29\""), ("NA_character_", ""), ("5", ""), ("c('a', 'b')", "")][..]),
            ("bool", &[("TRUE", "true"), ("NA", ""), ("1", "")][..]),
            ("array_int", &[("1:3", "[1,2,3]"), ("7", "[7]"), ("integer(0)", "[]"), ("list(1, 2L)", "[1,2]"), ("c(1, 2.5)", ""), ("c(1L, NA)", ""), ("list(1, 'a')", ""), ("list(a = 1)", "")][..]),
            ("array_double", &[("c(a = 1, b = 0.5)", "[1,0.5]"), ("c(1, NaN)", "")][..]),
            ("array_string", &[("'one'", "[\"one\"]"), ("letters[1:2]", "[\"a\",\"b\"]"), ("character(0)", "[]")][..]),
            ("dict", &[
                ("list(a = 1, b = 'x', c = 1:2, d = list(), e = NULL, f = list(g = TRUE))", "{\"a\":1,\"b\":\"x\",\"c\":[1,2],\"d\":[],\"e\":null,\"f\":{\"g\":true}}"),
                ("data.frame(a = 1:2, b = c('x', 'y'))", "{\"a\":[1,2],\"b\":[\"x\",\"y\"]}"),
                ("data.frame(a = 1L)", "{\"a\":[1]}"),
                ("list(m = matrix(1:4, 2), i = I(1))", "{\"i\":[1],\"m\":[[1,3],[2,4]]}"),
                ("c(a = 1, b = 2)", "{\"a\":1,\"b\":2}"), ("list(t = as.POSIXct(0.5, origin = '1970-01-01', tz = 'UTC'))", "{\"t\":\"1970-01-01T00:00:00.5Z\"}"),
                ("list(a = list(b = c(1, NA)))", ""), ("list(1, 2)", ""), ("5", ""), ("list(f = mean)", ""), ("list(d = as.difftime(1, units = 'secs'))", ""),
            ][..]),
        ] {
            let project = server.at("/projects/default");
            let name = kind.replace('_', "-");
            let deployment = project.deployment(&name, "x:dict, code:string", &format!("y:{kind}")).await;
            deployment.version("v1", json!({ "environment": r(&server).await })).await;
            deployment.at("/versions/v1").package(packed(&[("deployment.R", EVALUATE)])).await;
            for (code, wanted) in cases {
                let answer = deployment.ask(json!({ "x": {}, "code": code })).await;
                if wanted.is_empty() {
                    assert!(answer.outcome().starts_with("failed: The output field 'y' "), "{kind} {code}: {answer}");
                } else {
                    let wanted: Value = serde_json::from_str(wanted).unwrap();
                    assert_eq!(answer["result"]["y"], wanted, "{kind} {code}: {answer}");
                }
            }
        }
    }

    async fn what_does_not_fit_is_told_with_field_and_place(server) {
        let deployment = running(&server, "x:dict, code:string", "y:dict", EVALUATE).await;
        let told = async |code: &str| deployment.ask(json!({ "x": {}, "code": code })).await.outcome();
        assert_snapshot!(told("list(a = list(b = c(1, NA)))").await, @"failed: The output field 'y' holds NA at $a$b[2], which JSON cannot express");
        assert_snapshot!(told("1:3").await, @"failed: The output field 'y' must be of type dict, not integer of length 3");
        assert_snapshot!(told("list(f = mean)").await, @"failed: The output field 'y' holds a value of class function at $f, which JSON has no form for");
    }

    async fn results_have_all_fields_and_no_others(server) {
        let code = "request <- function(data) switch(data$x, a = list(z = 1), b = list(y = 1L, extra = 2), c = 'text', d = list(y = NULL))";
        let deployment = running(&server, "x:string", "y:int", code).await;
        let told = async |x: &str| deployment.ask(json!({ "x": x })).await.outcome();
        assert_snapshot!(told("a").await, @"failed: The output field 'y' is missing in what the request returned");
        assert_snapshot!(told("b").await, @r#"completed {"y":1}"#);
        assert_snapshot!(told("c").await, @"failed: The request must return a named list with the output fields, but returned character");
        assert_snapshot!(told("d").await, @r#"completed {"y":null}"#);
    }

    async fn lists_of_payloads_and_large_bodies_work(server) {
        let code = "request <- function(data) list(y = sum(data$x), n = length(data$x))";
        let deployment = running(&server, "x:array_double", "y:double, n:int", code).await;
        let many = deployment.ask(json!([{ "x": [1, 2.5] }, { "x": [] }])).await;
        assert_snapshot!(many.outcome(), @r#"completed [{"y":3.5,"n":2},{"y":0,"n":0}]"#);
        let large: Vec<f64> = (0..300_000).map(|number| f64::from(number) + 0.5).collect();
        let answer = deployment.ask(json!({ "x": large })).await;
        assert_snapshot!(answer.outcome(), @r#"completed {"y":45000000000,"n":300000}"#);
    }
}
