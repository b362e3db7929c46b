package dev.hubwire.interop;

import static dev.hubwire.interop.Run.json;

import com.google.gson.JsonElement;
import com.microsoft.signalr.HubConnection;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;

/** The server calls clients: who gets it, and in which order. */
final class Pushes {
    private Pushes() {}

    private interface Send {
        void send(Run t, List<HubConnection> hubs, String event) throws Exception;
    }

    static List<Scenario> all() {
        var all = new ArrayList<Scenario>();
        all.add(push("caller", (t, hubs, event) -> t.call(hubs.get(0), "ToCaller", event, json("{\"n\":1}")), "{\"n\":1}", 1, 0, 0));
        all.add(push("others", (t, hubs, event) -> t.call(hubs.get(0), "ToOthers", event, "x"), "\"x\"", 0, 1, 1));
        all.add(push("all", (t, hubs, event) -> t.call(hubs.get(0), "ToAll", event, "ü"), "\"ü\"", 1, 1, 1));
        all.add(push("connection",
                (t, hubs, event) -> t.call(hubs.get(0), "ToConnection", hubs.get(1).getConnectionId(), event, "x"),
                "\"x\"", 0, 1, 0));
        all.add(push("unknown-connection",
                (t, hubs, event) -> t.call(hubs.get(0), "ToConnection", "nobody", event, "x"), "\"x\"", 0, 0, 0));
        all.add(push("all-except",
                (t, hubs, event) ->
                        t.call(hubs.get(0), "ToAllExcept", List.of(hubs.get(1).getConnectionId()), event, "x"),
                "\"x\"", 1, 0, 1));
        all.add(push("group",
                (t, hubs, event) -> {
                    t.call(hubs.get(1), "Join", t.tag);
                    t.call(hubs.get(2), "Join", t.tag);
                    t.call(hubs.get(0), "ToGroup", t.tag, event, 1);
                },
                "1", 0, 1, 1));
        all.add(push("leave-group",
                (t, hubs, event) -> {
                    t.call(hubs.get(1), "Join", t.tag);
                    t.call(hubs.get(2), "Join", t.tag);
                    t.call(hubs.get(1), "Leave", t.tag);
                    t.call(hubs.get(0), "ToGroup", t.tag, event, 1);
                },
                "1", 0, 0, 1));
        all.add(push("others-in-group",
                (t, hubs, event) -> {
                    t.call(hubs.get(0), "Join", t.tag);
                    t.call(hubs.get(1), "Join", t.tag);
                    t.call(hubs.get(0), "ToOthersInGroup", t.tag, event, 1);
                },
                "1", 0, 1, 0));
        all.add(push("group-except",
                (t, hubs, event) -> {
                    hubs.forEach(hub -> t.call(hub, "Join", t.tag));
                    t.call(hubs.get(0), "ToGroupExcept", t.tag, List.of(hubs.get(2).getConnectionId()), event, 1);
                },
                "1", 1, 1, 0));
        all.add(Scenario.of("push-user", t -> {
            var hubs = List.of(t.connectAs("alice-" + t.tag), t.connectAs("alice-" + t.tag), t.connectAs("bob-" + t.tag));
            pushed(t, hubs, (run, all3, event) -> run.call(all3.get(0), "ToUser", "alice-" + run.tag, event, 1), "1", 1, 1, 0);
        }).needs("users"));
        all.add(Scenario.of("user-id", t -> {
            t.equal(t.await(t.connectAs("Grüße").invoke(String.class, "UserId")), "Grüße", "user id");
        }).needs("users"));
        all.add(Scenario.of("push-several-arguments", t -> {
            var hub = t.connect();
            var calls = new CopyOnWriteArrayList<List<JsonElement>>();
            hub.on("Three", (a, b, c) -> calls.add(List.of(a, b, c)),
                    JsonElement.class, JsonElement.class, JsonElement.class);
            t.call(hub, "ToCallerThree", "Three", "a", 2, List.of("three"));
            t.until(() -> calls.size() == 1, "the call");
            t.equal(calls.get(0), List.of(json("\"a\""), json("2"), json("[\"three\"]")), "arguments");
        }));
        all.add(Scenario.of("push-1000-in-order", t -> {
            var hub = t.connect();
            var calls = t.calls(hub, "Number");
            t.equal(t.await(hub.invoke(Integer.class, "PushMany", "Number", 1000)), 1000, "result");
            t.until(() -> calls.size() == 1000, "1000 calls");
            t.equal(calls, IntStream.range(0, 1000).mapToObj(n -> json(Integer.toString(n))).toList(), "numbers");
        }));
        all.add(Scenario.of("push-handler-names-ignore-case", t -> {
            var hub = t.connect();
            var calls = t.calls(hub, "mixedCase");
            t.call(hub, "ToCaller", "MixedCASE", 1);
            t.until(() -> calls.size() == 1, "the call");
        }).needs("handler-names"));
        all.add(Scenario.of("push-without-handler", t -> {
            var hub = t.connect();
            t.call(hub, "ToCaller", "NobodyListens", 1);
            t.alive(hub);
        }));
        return all;
    }

    private static Scenario push(String name, Send send, String value, int... want) {
        return Scenario.of("push-" + name, t -> {
            pushed(t, List.of(t.connect(), t.connect(), t.connect()), send, value, want);
        });
    }

    /** What each of three connections got, after everything has settled. */
    private static void pushed(Run t, List<HubConnection> hubs, Send send, String value, int... want) throws Exception {
        var event = "E-" + t.tag;
        var calls = hubs.stream().map(hub -> t.calls(hub, event)).toList();
        send.send(t, hubs, event);
        for (var n = 0; n < want.length; n++) {
            var got = calls.get(n);
            var wanted = want[n];
            t.until(() -> got.size() >= wanted, "call of connection " + n);
        }
        // A message that should not be there would arrive with the answers to these.
        hubs.forEach(t::alive);
        Thread.sleep(100);
        for (var n = 0; n < want.length; n++) {
            t.equal(calls.get(n), Collections.nCopies(want[n], json(value)), "calls of connection " + n);
        }
    }
}
