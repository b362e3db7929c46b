// Command go-server is the interop hub on a SignalR server that is not ours: github.com/philippseith/signalr.
//
// It listens on a free port of 127.0.0.1, prints "listening on http://127.0.0.1:PORT" as its first line, and ends when
// its standard input closes, so that it never outlives the test run that started it.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-kit/log"
	"github.com/philippseith/signalr"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-server:", err)
		os.Exit(1)
	}
}

func run() error {
	clients := newRegistry()
	server, err := signalr.NewServer(context.Background(),
		signalr.WithHubLifetimeManager(func(signalr.Server) (signalr.HubLifetimeManager, error) { return clients, nil }),
		signalr.HubFactory(func() signalr.HubInterface { return &interopHub{clients: clients} }),
		signalr.HTTPTransports(signalr.TransportWebSockets, signalr.TransportServerSentEvents),
		signalr.KeepAliveInterval(time.Second),
		signalr.TimeoutInterval(5*time.Second),
		signalr.HandshakeTimeout(2*time.Second),
		signalr.MaximumReceiveMessageSize(32*1024),
		signalr.Logger(log.NewNopLogger(), false),
	)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	server.MapHTTP(signalr.WithHTTPServeMux(mux), "/hubs/interop")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())

	failed := make(chan error, 1)
	go func() { failed <- http.Serve(listener, mux) }()
	ended := make(chan struct{})
	go func() {
		// Nothing is ever sent on it; the end of the stream is the signal.
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}
