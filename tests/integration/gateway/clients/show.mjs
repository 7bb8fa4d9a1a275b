// Posts twice with fetch, over one connection; prints status and body.
const [, , url, body] = process.argv;
for (let i = 0; i < 2; i++) {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  console.log(response.status, await response.text());
}
