-- A login of the user quick, by wrk.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"username": "quick", "password": "quick"}'
