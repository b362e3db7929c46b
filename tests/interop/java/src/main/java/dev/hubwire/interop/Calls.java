package dev.hubwire.interop;

import static dev.hubwire.interop.Run.json;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.microsoft.signalr.HubConnection;
import io.reactivex.rxjava3.core.Single;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;

/** Values, calls and what they say when they fail, and calls of the server that the client answers. */
final class Calls {
    private Calls() {}

    static List<Scenario> all() {
        var all = new ArrayList<Scenario>();
        all.add(Scenario.of("connect", Calls::connect));
        values().forEach((name, value) -> all.add(Scenario.of("echo-" + name, t -> {
            var want = json(value);
            t.equal(t.invoke(t.connect(), "Echo", want), want, "value");
        })));
        all.add(Scenario.of("echo-null", t -> {
            t.equal(t.await(t.connect().invoke(String.class, "Echo", (Object) null)), null, "value");
        }).needs("null-results", "typed-null"));
        all.add(Scenario.of("void", t -> {
            var hub = t.connect();
            t.call(hub, "Void", "anything");
            t.alive(hub);
        }));
        all.add(Scenario.of("typed-arguments", t -> {
            var hub = t.connect();
            t.equal(t.await(hub.invoke(Integer.class, "Add", 19, 23)), 42, "sum");
            t.equal(t.await(hub.invoke(Integer.class, "Add", -5, 3)), -2, "sum");
        }));
        all.add(Scenario.of("method-names-ignore-case", t -> {
            t.equal(t.await(t.connect().invoke(String.class, "eCHO", "x")), "x", "value");
        }));
        all.add(Scenario.of("concurrent-200", Calls::concurrent));
        all.add(Scenario.of("concurrent-connections", t -> {
            var hubs = IntStream.range(0, 20).mapToObj(n -> t.connect()).toList();
            for (var n = 0; n < hubs.size(); n++) {
                t.equal(t.await(hubs.get(n).invoke(Integer.class, "Echo", n)), n, "answer");
            }
        }));
        all.add(Scenario.of("send-runs-the-method", t -> {
            var hub = t.connect();
            var calls = t.calls(hub, "Pushed");
            hub.send("ToCaller", "Pushed", 5);
            t.until(() -> calls.size() == 1, "the call");
            t.equal(calls, List.of(json("5")), "calls");
        }));
        errors(all);
        clientResults(all);
        return all;
    }

    private static Map<String, String> values() {
        var values = new LinkedHashMap<String, String>();
        values.put("string", "\"hello\"");
        values.put("empty-string", "\"\"");
        values.put("non-ascii", "\"Grüße, Żółć, привет, 日本語\"");
        values.put("emoji", "\"😀 👩‍👩‍👧 🇹🇷\"");
        values.put("control-characters", "\"a\\u0000b\\u001ec\\n\\\"\\\\\\u2028\"");
        values.put("integer", "42");
        values.put("negative-integer", "-2147483649");
        values.put("large-integer", "9007199254740991");
        values.put("float", "3.141592653589793");
        values.put("true", "true");
        values.put("false", "false");
        values.put("array", "[1,\"two\",[3.5],[]]");
        values.put("nested", "{\"a\":{\"b\":[{\"d\":\"e\"}]},\"f\":{},\"g\":true}");
        values.put("20-kb", "\"" + "x".repeat(20 * 1024) + "\"");
        return values;
    }

    private static void connect(Run t) {
        var hub = t.connect();
        t.ok(hub.getConnectionId() != null && !hub.getConnectionId().isEmpty(), "there is no connection id");
        var seen = t.await(hub.invoke(String.class, "ConnectionId"));
        t.equal(seen, hub.getConnectionId(), "connection id as the hub sees it");
        t.ok(!t.connect().getConnectionId().equals(hub.getConnectionId()), "two connections have one id");
    }

    private static void concurrent(Run t) {
        var hub = t.connect();
        var calls = new ArrayList<Single<JsonElement>>();
        for (var n = 0; n < 200; n++) {
            calls.add(hub.invoke(JsonElement.class, "Echo", numbered(n)));
        }
        for (var n = 0; n < 200; n++) {
            t.equal(t.await(calls.get(n)), numbered(n), "answer " + n);
        }
    }

    private static JsonObject numbered(int n) {
        var value = new JsonObject();
        value.addProperty("n", n);
        value.addProperty("text", "call " + n);
        return value;
    }

    private static void errors(List<Scenario> all) {
        BiConsumer<Run, HubConnection> hubError = (t, hub) -> t.call(hub, "ThrowHub", "my \"own\" text");
        BiConsumer<Run, HubConnection> plainError = (t, hub) -> t.call(hub, "Throw", "a secret");
        BiConsumer<Run, HubConnection> unknown = (t, hub) -> t.call(hub, "NoSuchMethod", 1);
        BiConsumer<Run, HubConnection> unknownCase = (t, hub) -> t.call(hub, "noSuchMETHOD");
        BiConsumer<Run, HubConnection> tooFew = (t, hub) -> t.call(hub, "Add", 1);
        BiConsumer<Run, HubConnection> tooMany = (t, hub) -> t.call(hub, "Add", 1, 2, 3);
        BiConsumer<Run, HubConnection> wrongType = (t, hub) -> t.call(hub, "Add", "one", 2);
        BiConsumer<Run, HubConnection> stream = (t, hub) -> t.call(hub, "Count", 3, 0);
        BiConsumer<Run, HubConnection> notStream = (t, hub) -> streamed(t, hub, "Add", 1, 2);
        BiConsumer<Run, HubConnection> unknownStream = (t, hub) -> streamed(t, hub, "NoSuchStream");

        all.add(fails("hub-error", hubError));
        all.add(fails("plain-error", plainError));
        all.add(fails("unknown-method", unknown));
        all.add(fails("too-few-arguments", tooFew));
        all.add(fails("too-many-arguments", tooMany));
        all.add(fails("wrong-type", wrongType));
        all.add(fails("stream-as-invocation", stream).needs("strict-streams"));
        all.add(fails("invocation-as-stream", notStream).needs("strict-streams"));
        all.add(error("hub-error", hubError,
                "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: my \"own\" text"));
        all.add(error("plain-error", plainError, "An unexpected error occurred invoking 'Throw' on the server."));
        all.add(error("unknown-method", unknown, "Unknown hub method 'NoSuchMethod'"));
        all.add(error("unknown-method-case", unknownCase, "Unknown hub method 'noSuchMETHOD'"));
        all.add(error("unknown-stream", unknownStream, "Unknown hub method 'NoSuchStream'"));
        all.add(error("too-few-arguments", tooFew, "Failed to invoke 'Add' due to an error on the server."));
        all.add(error("too-many-arguments", tooMany, "Failed to invoke 'Add' due to an error on the server."));
        all.add(error("wrong-type", wrongType, "Failed to invoke 'Add' due to an error on the server."));
        all.add(error("stream-as-invocation", stream,
                "The client attempted to invoke the streaming 'Count' method with a non-streaming invocation."));
        all.add(error("invocation-as-stream", notStream,
                "The client attempted to invoke the non-streaming 'Add' method with a streaming invocation."));
    }

    private static void streamed(Run t, HubConnection hub, String method, Object... arguments) {
        t.drain(hub, method, arguments).error().ifPresent(text -> {
            throw new IllegalStateException(text);
        });
    }

    private static Scenario fails(String name, BiConsumer<Run, HubConnection> call) {
        return Scenario.of("fails-" + name, t -> {
            var hub = t.connect();
            t.rejects(() -> call.accept(t, hub));
            t.alive(hub);
        });
    }

    private static Scenario error(String name, BiConsumer<Run, HubConnection> call, String text) {
        return Scenario.of("error-" + name, t -> {
            var hub = t.connect();
            t.equal(t.rejects(() -> call.accept(t, hub)), text, "error text");
            t.alive(hub);
        }).needs("error-texts");
    }

    private static void clientResults(List<Scenario> all) {
        all.add(asked("value", hub -> hub.onWithResult("Question", (Integer n) -> Single.just(n * 2), Integer.class),
                "{\"ok\":true,\"value\":42}"));
        all.add(asked("object", hub -> hub.onWithResult("Question", (Integer n) -> Single.just(numbered(n)), Integer.class),
                "{\"ok\":true,\"value\":{\"n\":21,\"text\":\"call 21\"}}"));
        all.add(asked("async",
                hub -> hub.onWithResult(
                        "Question",
                        (Integer n) -> hub.invoke(Integer.class, "Echo", n).map(echoed -> echoed * 2),
                        Integer.class),
                "{\"ok\":true,\"value\":42}"));
        all.add(asked("error",
                hub -> hub.onWithResult(
                        "Question", (Integer n) -> Single.error(new IllegalStateException("from callback")), Integer.class),
                "{\"ok\":false,\"error\":\"from callback\"}"));
        // The client finds no parameter types without a handler, so it fails on the argument before it misses the handler.
        all.add(asked("no-handler", hub -> {}, "{\"ok\":false,\"error\":\"Client failed to parse argument(s).\"}"));
        all.add(Scenario.of("client-result-unknown-connection", t -> {
            var answer = t.invoke(t.connect(), "AskConnection", "nobody", "Question", 1);
            t.equal(answer, json("{\"ok\":false,\"error\":\"Connection 'nobody' does not exist.\"}"), "answer");
        }).needs("client-results"));
        all.add(Scenario.of("client-result-other-connection", t -> {
            var answerer = t.connect();
            answerer.onWithResult("Question", (Integer n) -> Single.just(n + 1), Integer.class);
            var answer = t.invoke(t.connect(), "AskConnection", answerer.getConnectionId(), "Question", 41);
            t.equal(answer, json("{\"ok\":true,\"value\":42}"), "answer");
        }).needs("client-results"));
    }

    private interface Prepare {
        void prepare(HubConnection hub);
    }

    private static Scenario asked(String name, Prepare prepare, String want) {
        return Scenario.of("client-result-" + name, t -> {
            var hub = t.connect();
            prepare.prepare(hub);
            t.equal(t.invoke(hub, "AskCaller", "Question", 21), json(want), "answer");
            t.alive(hub);
        }).needs("client-results");
    }
}
