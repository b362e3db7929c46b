package main

import (
	"strings"
	"time"

	"github.com/philippseith/signalr"
)

// interopHub is the hub of ../HUB.md, as far as the library goes. The library makes a new one for every call and runs
// each call on a goroutine of its own.
type interopHub struct {
	signalr.Hub
	clients *registry
}

func everyone(string) bool { return true }

// Values and errors

func (h *interopHub) Echo(value interface{}) interface{} { return value }
func (h *interopHub) Void(string)                        {}
func (h *interopHub) Add(a, b int) int                   { return a + b }

// ThrowHub and Throw panic: the library has no other way to fail a call, and answers with the panic's text.
func (h *interopHub) ThrowHub(text string) { panic(text) }
func (h *interopHub) Throw(text string)    { panic(text) }

// Pushes

func (h *interopHub) ToCaller(event string, value interface{}) { h.Clients().Caller().Send(event, value) }
func (h *interopHub) ToAll(event string, value interface{})    { h.Clients().All().Send(event, value) }

func (h *interopHub) ToOthers(event string, value interface{}) {
	h.clients.send(event, []interface{}{value}, except(everyone, h.ConnectionID()))
}

func (h *interopHub) ToCallerThree(event string, a, b, c interface{}) {
	h.Clients().Caller().Send(event, a, b, c)
}

func (h *interopHub) ToConnection(id, event string, value interface{}) {
	h.Clients().Client(id).Send(event, value)
}

func (h *interopHub) ToAllExcept(ids []string, event string, value interface{}) {
	h.clients.send(event, []interface{}{value}, except(everyone, ids...))
}

func (h *interopHub) Join(group string)  { h.Groups().AddToGroup(group, h.Hub.ConnectionID()) }
func (h *interopHub) Leave(group string) { h.Groups().RemoveFromGroup(group, h.Hub.ConnectionID()) }

func (h *interopHub) ToGroup(group, event string, value interface{}) {
	h.Clients().Group(group).Send(event, value)
}

func (h *interopHub) ToOthersInGroup(group, event string, value interface{}) {
	h.clients.send(event, []interface{}{value}, except(h.clients.in(group), h.ConnectionID()))
}

func (h *interopHub) ToGroupExcept(group string, ids []string, event string, value interface{}) {
	h.clients.send(event, []interface{}{value}, except(h.clients.in(group), ids...))
}

func (h *interopHub) PushMany(event string, count int) int {
	for n := range count {
		h.Clients().Caller().Send(event, n)
	}
	return count
}

// Streams

func (h *interopHub) Count(count, delay int) <-chan int {
	items := make(chan int)
	go func() {
		defer close(items)
		for n := range count {
			items <- n
			time.Sleep(time.Duration(delay) * time.Millisecond)
		}
	}()
	return items
}

// Forever notices a cancel by nobody taking the next item: the library does not tell.
func (h *interopHub) Forever(key string, delay int) <-chan int {
	items := make(chan int)
	go func() {
		defer close(items)
		for n := 0; ; n++ {
			select {
			case items <- n:
				time.Sleep(time.Duration(delay) * time.Millisecond)
			case <-time.After(time.Second):
				h.clients.cancel(key)
				return
			}
		}
	}()
	return items
}

func (h *interopHub) WasCancelled(key string) bool { return h.clients.wasCancelled(key) }

func (h *interopHub) Sum(numbers <-chan int) int {
	sum := 0
	for n := range numbers {
		sum += n
	}
	return sum
}

func (h *interopHub) SumToCaller(event string, numbers <-chan int) {
	h.ToCaller(event, h.Sum(numbers))
}

func (h *interopHub) Label(label string, parts <-chan string) string {
	var all []string
	for part := range parts {
		all = append(all, part)
	}
	return label + ":" + strings.Join(all, ",")
}

func (h *interopHub) Double(numbers <-chan int) <-chan int {
	doubled := make(chan int)
	go func() {
		defer close(doubled)
		for n := range numbers {
			doubled <- 2 * n
		}
	}()
	return doubled
}

// Lifetime

type ending struct {
	Seen bool `json:"seen"`
	// Always nil: the library does not say how a connection ended.
	Error *string `json:"error"`
}

func (h *interopHub) Disconnected(id string) ending { return ending{Seen: h.clients.hasLeft(id)} }

func (h *interopHub) CloseMe(allowReconnect bool, text string) {
	// Its error says that the connection is gone already.
	_ = h.Close(text, allowReconnect)
}
