package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	reply, err := http.Get("https://localhost:" + os.Args[1] + "/")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(reply.Status)
}
