// Posts twice with the standard client, once waiting for 100 Continue; prints status and body.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second}}
	for i := 0; i < 2; i++ {
		request, err := http.NewRequest("POST", os.Args[1], strings.NewReader(os.Args[2]))
		if err != nil {
			panic(err)
		}
		request.Header.Set("content-type", "application/json")
		if i == 1 {
			request.Header.Set("expect", "100-continue")
		}
		response, err := client.Do(request)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Println(response.StatusCode, string(body))
	}
}
