package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/philippseith/signalr"
)

// Of the interop servers only, which take tokens signed with it (HUB.md).
const key = "interop-tests-only-0123456789abcdef"

const patience = 10 * time.Second

// failure is what a check panics with, so that scenarios need not hand errors up.
type failure string

func fail(format string, values ...interface{}) { panic(failure(fmt.Sprintf(format, values...))) }

// run is one run of one scenario. Its connections end with it.
type run struct {
	url       string
	protocol  string
	transport signalr.TransportType
	// Unique, because all scenarios share one hub.
	tag  string
	mu   sync.Mutex
	hubs []*hub
}

// hub is one connection and what the server called on it.
type hub struct {
	signalr.Client
	id       string
	receiver *receiver
	cancel   context.CancelFunc
}

// receiver has the client methods: the library finds them by reflection, so their names are fixed.
type receiver struct {
	signalr.Receiver
	mu     sync.Mutex
	pushed []interface{}
	// The answer to Question.
	answer func(int) interface{}
}

func (r *receiver) Pushed(value interface{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pushed = append(r.pushed, value)
}

func (r *receiver) Three(a, b, c interface{}) { r.Pushed([]interface{}{a, b, c}) }

func (r *receiver) Question(n int) interface{} { return r.answer(n) }

func (r *receiver) calls() []interface{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]interface{}{}, r.pushed...)
}

func newRun(url, protocol string, transport signalr.TransportType) *run {
	return &run{url: url, protocol: protocol, transport: transport, tag: "go-" + rand.Text()}
}

func (t *run) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, hub := range t.hubs {
		// Not Stop: it waits for goroutines of the library that may not end.
		hub.cancel()
	}
}

func (t *run) connect() *hub {
	hub, err := t.open(t.url, "")
	if err != nil {
		fail("cannot connect: %v", err)
	}
	return hub
}

func (t *run) connectAs(user string) *hub {
	hub, err := t.open(t.url, user)
	if err != nil {
		fail("cannot connect: %v", err)
	}
	return hub
}

func (t *run) open(url, user string) (*hub, error) {
	ctx, cancel := context.WithCancel(context.Background())
	connection, err := signalr.NewHTTPConnection(ctx, url, signalr.WithTransports(t.transport),
		signalr.WithHTTPHeaders(func() http.Header {
			headers := http.Header{}
			if user != "" {
				headers.Set("Authorization", "Bearer "+tokenFor(user))
			}
			return headers
		}))
	if err != nil {
		cancel()
		return nil, err
	}
	format := signalr.TransferFormatType("Text")
	if t.protocol == "messagepack" {
		format = "Binary"
	}
	receiver := &receiver{}
	client, err := signalr.NewClient(ctx,
		signalr.WithConnection(connection),
		signalr.WithReceiver(receiver),
		signalr.TransferFormat(format),
		// The hub's contract has short timers (HUB.md), so the client must ping more often than by default.
		signalr.KeepAliveInterval(time.Second),
		signalr.TimeoutInterval(20*time.Second),
		signalr.MaximumReceiveMessageSize(1<<20),
		signalr.Logger(log.NewNopLogger(), false))
	if err != nil {
		cancel()
		return nil, err
	}
	hub := &hub{Client: client, id: connection.ConnectionID(), receiver: receiver, cancel: cancel}
	t.mu.Lock()
	t.hubs = append(t.hubs, hub)
	t.mu.Unlock()
	client.Start()
	wait, stop := context.WithTimeout(ctx, patience)
	defer stop()
	return hub, <-client.WaitForState(wait, signalr.ClientConnected)
}

// try calls and gives the result or the error. The library sends both over one channel, in any order.
func (h *hub) try(method string, arguments ...interface{}) (interface{}, error) {
	return last(h.Invoke(method, arguments...))
}

func last(results <-chan signalr.InvokeResult) (value interface{}, err error) {
	timeout := time.After(patience)
	for {
		select {
		case result, ok := <-results:
			if !ok {
				return value, err
			}
			if result.Value != nil {
				value = result.Value
			}
			if result.Error != nil {
				err = result.Error
			}
		case <-timeout:
			fail("no answer within %v", patience)
		}
	}
}

func (h *hub) call(method string, arguments ...interface{}) interface{} {
	value, err := h.try(method, arguments...)
	if err != nil {
		fail("%s failed: %v", method, err)
	}
	return value
}

// drain reads a stream to its end.
func drain(results <-chan signalr.InvokeResult) (items []interface{}, text string) {
	items = []interface{}{}
	timeout := time.After(patience)
	for {
		select {
		case result, ok := <-results:
			if !ok {
				return items, text
			}
			if result.Error != nil {
				text = result.Error.Error()
			} else {
				items = append(items, result.Value)
			}
		case <-timeout:
			fail("the stream did not end within %v", patience)
		}
	}
}

func (h *hub) alive() { equal(h.call("Echo", "alive"), "alive", "the connection afterwards") }

// equal compares by JSON, since the library gives numbers in many types.
func equal(got, want interface{}, what string) {
	if a, b := canonical(got), canonical(want); a != b {
		fail("%s: got %.200s, want %.200s", what, a, b)
	}
}

func canonical(value interface{}) string {
	text, err := json.Marshal(stringKeys(value))
	if err != nil {
		fail("%v is not JSON: %v", value, err)
	}
	var plain interface{}
	if err := json.Unmarshal(text, &plain); err != nil {
		fail("%s: %v", text, err)
	}
	text, _ = json.Marshal(plain)
	return string(text)
}

// stringKeys makes JSON objects of the maps that the library's MessagePack gives.
func stringKeys(value interface{}) interface{} {
	switch value := value.(type) {
	case map[interface{}]interface{}:
		object := map[string]interface{}{}
		for key, item := range value {
			object[fmt.Sprint(key)] = stringKeys(item)
		}
		return object
	case []interface{}:
		items := []interface{}{}
		for _, item := range value {
			items = append(items, stringKeys(item))
		}
		return items
	}
	return value
}

func rejects(hub *hub, text string, method string, arguments ...interface{}) {
	value, err := hub.try(method, arguments...)
	if err == nil {
		fail("expected an error, got %v", value)
	}
	if text != "" {
		equal(err.Error(), text, "error text")
	}
}

func until(question func() bool, what string) {
	end := time.Now().Add(8 * time.Second)
	for !question() {
		if time.Now().After(end) {
			fail("not within 8 s: %s", what)
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// tokenFor is valid for ten minutes.
func tokenFor(user string) string {
	part := func(value interface{}) string {
		text, _ := json.Marshal(value)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now().Unix()
	body := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." +
		part(map[string]interface{}{"sub": user, "nbf": now - 60, "iat": now, "exp": now + 600})
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
