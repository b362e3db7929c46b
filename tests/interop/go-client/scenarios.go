package main

import (
	"strings"
	"time"

	"github.com/philippseith/signalr"
)

type object = map[string]interface{}
type list = []interface{}

// What is tried. Names are those of the TypeScript suite where both do the same.
var scenarios = concat(values(), calls(), failing(), pushes(), streams(), results(), lifetime())

func concat(parts ...[]scenario) (all []scenario) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// without is a scenario for which the library has no call.
func without(name string) scenario { return scenario{name: name, needs: []string{name}} }

func values() (all []scenario) {
	for _, one := range []struct {
		name  string
		value interface{}
	}{
		{"string", "hello"},
		{"empty-string", ""},
		{"non-ascii", "Grüße, Żółć, привет, 日本語"},
		{"emoji", "😀 👩‍👩‍👧 🇹🇷"},
		{"control-characters", "a\x00b\x1ec\n\"\\\u2028"},
		{"integer", 42},
		{"negative-integer", -2147483649},
		{"large-integer", 9007199254740991},
		{"float", 3.141592653589793},
		{"true", true},
		{"false", false},
		{"array", list{1, "two", list{3.5}, list{}}},
		{"nested", object{"a": object{"b": list{object{"c": nil}, object{"d": "e"}}}, "f": object{}, "g": true}},
		{"20-kb", strings.Repeat("x", 20*1024)},
	} {
		all = append(all, scenario{name: "echo-" + one.name, run: func(t *run) {
			equal(t.connect().call("Echo", one.value), one.value, "value")
		}})
	}
	return append(all, scenario{"echo-null", []string{"null-results"}, func(t *run) {
		equal(t.connect().call("Echo", nil), nil, "value")
	}})
}

func calls() []scenario {
	return []scenario{
		{name: "connect", run: func(t *run) {
			hub := t.connect()
			equal(hub.call("ConnectionId"), hub.id, "connection id as the hub sees it")
			if t.connect().id == hub.id {
				fail("two connections have one id")
			}
		}},
		{name: "void", run: func(t *run) { equal(t.connect().call("Void", "anything"), nil, "result") }},
		{name: "typed-arguments", run: func(t *run) {
			hub := t.connect()
			equal(hub.call("Add", 19, 23), 42, "sum")
			equal(hub.call("Add", -5, 3), -2, "sum")
		}},
		{name: "method-names-ignore-case", run: func(t *run) { equal(t.connect().call("eCHO", "x"), "x", "value") }},
		{name: "concurrent-200", run: func(t *run) {
			hub := t.connect()
			var pending []<-chan signalr.InvokeResult
			for n := range 200 {
				pending = append(pending, hub.Invoke("Echo", object{"n": n}))
			}
			for n, results := range pending {
				value, err := last(results)
				if err != nil {
					fail("call %d: %v", n, err)
				}
				equal(value, object{"n": n}, "answer")
			}
		}},
		{name: "concurrent-connections", run: func(t *run) {
			var hubs []*hub
			for range 20 {
				hubs = append(hubs, t.connect())
			}
			for n, hub := range hubs {
				equal(hub.call("Echo", n), n, "answer")
			}
		}},
		without("send-is-never-answered"),
		{name: "send-runs-the-method", run: func(t *run) {
			hub := t.connect()
			hub.Send("ToCaller", "Pushed", 5)
			until(func() bool { return len(hub.receiver.calls()) == 1 }, "the call")
			equal(hub.receiver.calls(), list{5}, "calls")
		}},
	}
}

func failing() (all []scenario) {
	type call struct {
		name, text, method string
		arguments          list
	}
	for _, one := range []call{
		{"hub-error", "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: my \"own\" text", "ThrowHub", list{"my \"own\" text"}},
		{"plain-error", "An unexpected error occurred invoking 'Throw' on the server.", "Throw", list{"a secret"}},
		{"unknown-method", "Unknown hub method 'NoSuchMethod'", "NoSuchMethod", list{1}},
		{"too-few-arguments", "Failed to invoke 'Add' due to an error on the server.", "Add", list{1}},
		{"too-many-arguments", "Failed to invoke 'Add' due to an error on the server.", "Add", list{1, 2, 3}},
		{"wrong-type", "Failed to invoke 'Add' due to an error on the server.", "Add", list{"one", 2}},
		{"stream-as-invocation", "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation.", "Count", list{3, 0}},
	} {
		var needs []string
		if one.name == "stream-as-invocation" {
			needs = []string{"strict-streams"}
		}
		all = append(all,
			scenario{"fails-" + one.name, needs, func(t *run) {
				hub := t.connect()
				rejects(hub, "", one.method, one.arguments...)
				hub.alive()
			}},
			scenario{"error-" + one.name, []string{"error-texts"}, func(t *run) {
				hub := t.connect()
				rejects(hub, one.text, one.method, one.arguments...)
				hub.alive()
			}})
	}
	streamed := func(name, text, method string, arguments ...interface{}) scenario {
		return scenario{"error-" + name, []string{"error-texts"}, func(t *run) {
			hub := t.connect()
			_, got := drain(hub.PullStream(method, arguments...))
			equal(got, text, "error text")
			hub.alive()
		}}
	}
	return append(all,
		streamed("unknown-stream", "Unknown hub method 'NoSuchStream'", "NoSuchStream"),
		streamed("invocation-as-stream",
			"The client attempted to invoke the non-streaming 'Add' method with a streaming invocation.", "Add", 1, 2))
}

// push says how many calls each of three connections gets.
func push(name string, want [3]int, send func(t *run, hubs [3]*hub), needs ...string) scenario {
	return scenario{"push-" + name, needs, func(t *run) {
		hubs := [3]*hub{t.connect(), t.connect(), t.connect()}
		if name == "user" {
			hubs = [3]*hub{t.connectAs("alice-" + t.tag), t.connectAs("alice-" + t.tag), t.connectAs("bob-" + t.tag)}
		}
		send(t, hubs)
		for n, hub := range hubs {
			until(func() bool { return len(hub.receiver.calls()) >= want[n] }, "a call")
		}
		// A message that should not be there would arrive with the answers to these.
		for _, hub := range hubs {
			hub.alive()
		}
		time.Sleep(100 * time.Millisecond)
		for n, hub := range hubs {
			wanted := list{}
			for range want[n] {
				wanted = append(wanted, "ü")
			}
			equal(hub.receiver.calls(), wanted, "calls")
		}
	}}
}

func pushes() []scenario {
	return []scenario{
		push("caller", [3]int{1, 0, 0}, func(t *run, h [3]*hub) { h[0].call("ToCaller", "Pushed", "ü") }),
		push("others", [3]int{0, 1, 1}, func(t *run, h [3]*hub) { h[0].call("ToOthers", "Pushed", "ü") }),
		push("all", [3]int{1, 1, 1}, func(t *run, h [3]*hub) { h[0].call("ToAll", "Pushed", "ü") }),
		push("connection", [3]int{0, 1, 0}, func(t *run, h [3]*hub) { h[0].call("ToConnection", h[1].id, "Pushed", "ü") }),
		push("unknown-connection", [3]int{0, 0, 0}, func(t *run, h [3]*hub) { h[0].call("ToConnection", "nobody", "Pushed", "ü") }),
		push("all-except", [3]int{1, 0, 1}, func(t *run, h [3]*hub) { h[0].call("ToAllExcept", list{h[1].id}, "Pushed", "ü") }),
		push("group", [3]int{0, 1, 1}, func(t *run, h [3]*hub) {
			h[1].call("Join", t.tag)
			h[2].call("Join", t.tag)
			h[0].call("ToGroup", t.tag, "Pushed", "ü")
		}),
		push("leave-group", [3]int{0, 0, 1}, func(t *run, h [3]*hub) {
			h[1].call("Join", t.tag)
			h[2].call("Join", t.tag)
			h[1].call("Leave", t.tag)
			h[0].call("ToGroup", t.tag, "Pushed", "ü")
		}),
		push("others-in-group", [3]int{0, 1, 0}, func(t *run, h [3]*hub) {
			h[0].call("Join", t.tag)
			h[1].call("Join", t.tag)
			h[0].call("ToOthersInGroup", t.tag, "Pushed", "ü")
		}),
		push("group-except", [3]int{1, 1, 0}, func(t *run, h [3]*hub) {
			for _, hub := range h {
				hub.call("Join", t.tag)
			}
			h[0].call("ToGroupExcept", t.tag, list{h[2].id}, "Pushed", "ü")
		}),
		push("user", [3]int{1, 1, 0}, func(t *run, h [3]*hub) { h[0].call("ToUser", "alice-"+t.tag, "Pushed", "ü") }, "users"),
		{"user-id", []string{"users"}, func(t *run) { equal(t.connectAs("Grüße").call("UserId"), "Grüße", "user id") }},
		{name: "push-several-arguments", run: func(t *run) {
			hub := t.connect()
			hub.call("ToCallerThree", "Three", "a", 2, object{"three": nil})
			until(func() bool { return len(hub.receiver.calls()) == 1 }, "the call")
			equal(hub.receiver.calls(), list{list{"a", 2, object{"three": nil}}}, "arguments")
		}},
		{"push-1000-in-order", []string{"push-order"}, func(t *run) {
			hub := t.connect()
			equal(hub.call("PushMany", "Pushed", 1000), 1000, "result")
			until(func() bool { return len(hub.receiver.calls()) == 1000 }, "1000 calls")
			want := list{}
			for n := range 1000 {
				want = append(want, n)
			}
			equal(hub.receiver.calls(), want, "numbers")
		}},
		{name: "push-handler-names-ignore-case", run: func(t *run) {
			hub := t.connect()
			hub.call("ToCaller", "pUSHED", 1)
			until(func() bool { return len(hub.receiver.calls()) == 1 }, "the call")
		}},
		{"push-without-handler", []string{"empty-completion"}, func(t *run) {
			hub := t.connect()
			hub.call("ToCaller", "NobodyListens", 1)
			hub.alive()
		}},
	}
}

func streams() []scenario {
	counted := func(name string, count int) scenario {
		return scenario{name: name, run: func(t *run) {
			items, text := drain(t.connect().PullStream("Count", count, 0))
			equal(list{items, text}, list{numbers(count), ""}, "stream")
		}}
	}
	upload := func(name string, items list) scenario {
		return scenario{name: name, run: func(t *run) {
			sum := 0
			for _, item := range items {
				sum += item.(int)
			}
			value, err := last(t.connect().PushStreams("Sum", channel(items)))
			equal(list{value, err}, list{sum, nil}, "sum")
		}}
	}
	return []scenario{
		counted("stream-complete", 5),
		counted("stream-empty", 0),
		counted("stream-1000", 1000),
		{name: "stream-three-at-once", run: func(t *run) {
			hub := t.connect()
			var pending []<-chan signalr.InvokeResult
			for _, count := range []int{3, 6, 9} {
				pending = append(pending, hub.PullStream("Count", count, 5))
			}
			for n, results := range pending {
				items, _ := drain(results)
				equal(items, numbers(3*n+3), "stream")
			}
		}},
		{name: "stream-and-invoke", run: func(t *run) {
			hub := t.connect()
			results := hub.PullStream("Count", 20, 20)
			hub.alive()
			items, _ := drain(results)
			equal(items, numbers(20), "stream")
		}},
		{"stream-fails-midway", []string{"stream-errors", "error-behind-items"}, func(t *run) {
			items, text := drain(t.connect().PullStream("CountThenFail", 3, "no more"))
			want := "An error occurred on the server while streaming results. HubException: no more"
			equal(list{items, text}, list{numbers(3), want}, "stream")
		}},
		without("stream-cancel"),
		upload("upload", list{1, 2, 3, 36}),
		upload("upload-empty", list{}),
		upload("upload-500", numbers(500)),
		{name: "upload-with-argument", run: func(t *run) {
			value, err := last(t.connect().PushStreams("Label", "list", channel(list{"a", "ü", "😀"})))
			equal(list{value, err}, list{"list:a,ü,😀", nil}, "label")
		}},
		without("upload-without-answer"),
		without("upload-fails"),
		without("both-ways"),
	}
}

func numbers(count int) list {
	all := list{}
	for n := range count {
		all = append(all, n)
	}
	return all
}

func channel(items list) <-chan interface{} {
	all := make(chan interface{}, len(items))
	for _, item := range items {
		all <- item
	}
	close(all)
	return all
}

func results() []scenario {
	asked := func(name string, want object, answer func(int) interface{}) scenario {
		return scenario{"client-result-" + name, []string{"client-results"}, func(t *run) {
			hub := t.connect()
			hub.receiver.answer = answer
			equal(hub.call("AskCaller", "Question", 21), want, "answer")
			hub.alive()
		}}
	}
	return []scenario{
		asked("value", object{"ok": true, "value": 42}, func(n int) interface{} { return n * 2 }),
		asked("object", object{"ok": true, "value": object{"got": 21}}, func(n int) interface{} { return object{"got": n} }),
		// The library adds a line feed, and the stack when that is switched on.
		asked("error", object{"ok": false, "error": "from callback\n"}, func(int) interface{} { panic("from callback") }),
		{"client-result-async", []string{"client-results"}, func(t *run) {
			hub := t.connect()
			hub.receiver.answer = func(n int) interface{} { return hub.call("Echo", n) }
			equal(hub.call("AskCaller", "Question", 42), object{"ok": true, "value": 42}, "answer")
		}},
		{"client-result-no-handler", []string{"client-results"}, func(t *run) {
			hub := t.connect()
			want := object{"ok": false, "error": "Unknown method Nothing"}
			equal(hub.call("AskCaller", "Nothing", 1), want, "answer")
			hub.alive()
		}},
		{"client-result-unknown-connection", []string{"client-results"}, func(t *run) {
			want := object{"ok": false, "error": "Connection 'nobody' does not exist."}
			equal(t.connect().call("AskConnection", "nobody", "Question", 1), want, "answer")
		}},
		{"client-result-other-connection", []string{"client-results"}, func(t *run) {
			asker, answerer := t.connect(), t.connect()
			answerer.receiver.answer = func(n int) interface{} { return n + 1 }
			want := object{"ok": true, "value": 42}
			equal(asker.call("AskConnection", answerer.id, "Question", 41), want, "answer")
		}},
	}
}

func lifetime() []scenario {
	closed := func(hub *hub) {
		until(func() bool { return hub.State() == signalr.ClientClosed }, "the connection ends")
	}
	return []scenario{
		{"keep-alive", []string{"messagepack-pings"}, func(t *run) {
			hub := t.connect()
			// Longer than the server waits for a client (5 s).
			time.Sleep(7 * time.Second)
			hub.alive()
		}},
		{name: "stop", run: func(t *run) {
			hub, witness := t.connect(), t.connect()
			hub.cancel()
			until(func() bool {
				ending, ok := stringKeys(witness.call("Disconnected", hub.id)).(object)
				return ok && ending["seen"] == true
			}, "the hub sees the disconnect")
		}},
		without("start-again"),
		{"server-close", []string{"messagepack-close"}, func(t *run) {
			hub := t.connect()
			hub.Send("CloseMe", false, "")
			closed(hub)
		}},
		{"server-close-with-error", []string{"messagepack-close"}, func(t *run) {
			hub := t.connect()
			hub.Send("CloseMe", false, "maintenance")
			closed(hub)
			if err := hub.Err(); err == nil || err.Error() != "maintenance" {
				fail("the client ended with %v", err)
			}
		}},
		{name: "too-large-a-message", run: func(t *run) {
			hub, other := t.connect(), t.connect()
			rejects(hub, "", "Echo", strings.Repeat("x", 40*1024))
			closed(hub)
			other.alive()
		}},
		{name: "unknown-hub", run: func(t *run) {
			if _, err := t.open(t.url+"-of-nobody", ""); err == nil || !strings.Contains(err.Error(), "404") {
				fail("the error does not tell the status: %v", err)
			}
		}},
		{name: "connection-refused", run: func(t *run) {
			if _, err := t.open("http://127.0.0.1:1/hubs/interop", ""); err == nil {
				fail("connected")
			}
		}},
	}
}
