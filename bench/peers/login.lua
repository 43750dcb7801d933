-- A login of the user demo, by wrk.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"username": "demo", "password": "demo"}'
