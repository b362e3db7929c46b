package dev.hubwire.interop;

import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonParser;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Completable;
import io.reactivex.rxjava3.core.Observable;
import io.reactivex.rxjava3.core.Single;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** One run of a scenario: its connections, which end with it, and checks that explain themselves. */
final class Run implements AutoCloseable {
    /** Of the interop servers only, which take tokens signed with it (HUB.md). */
    private static final String KEY = "interop-tests-only-0123456789abcdef";

    private static final long PATIENCE = 10;

    private final String url;
    private final TransportEnum transport;
    private final List<HubConnection> open = new CopyOnWriteArrayList<>();
    /** Unique, because all scenarios share one hub. */
    final String tag = "java-" + UUID.randomUUID();

    Run(String url, TransportEnum transport) {
        this.url = url;
        this.transport = transport;
    }

    HubConnection connect() {
        var hub = prepare(url, null, false);
        await(hub.start());
        return hub;
    }

    HubConnection connectAs(String user) {
        var hub = prepare(url, tokenFor(user), false);
        await(hub.start());
        return hub;
    }

    HubConnection prepare(String address, String token, boolean skipNegotiation) {
        var builder = HubConnectionBuilder.create(address).withTransport(transport).shouldSkipNegotiate(skipNegotiation);
        if (token != null) {
            builder.withAccessTokenProvider(Single.just(token));
        }
        var hub = builder.build();
        // The hub's contract has short timers (HUB.md), so the client must ping more often than by default.
        hub.setKeepAliveInterval(1000);
        hub.setServerTimeout(10000);
        open.add(hub);
        return hub;
    }

    String url() {
        return url;
    }

    @Override
    public void close() {
        var stops = open.stream().map(hub -> hub.stop().onErrorComplete()).toList();
        // Not longer, because the Go server leaves many of them without an answer.
        Completable.merge(stops).blockingAwait(300, TimeUnit.MILLISECONDS);
    }

    JsonElement invoke(HubConnection hub, String method, Object... arguments) {
        return await(hub.invoke(JsonElement.class, method, arguments));
    }

    /** A call whose result, if there is one, does not matter. */
    void call(HubConnection hub, String method, Object... arguments) {
        await(hub.invoke(method, arguments));
    }

    <T> T await(Single<T> single) {
        return single.timeout(PATIENCE, TimeUnit.SECONDS).blockingGet();
    }

    void await(Completable completable) {
        completable.timeout(PATIENCE, TimeUnit.SECONDS).blockingAwait();
    }

    /** What came of a stream. */
    record Drained(List<Integer> items, Optional<String> error) {}

    Drained drain(HubConnection hub, String method, Object... arguments) {
        return drain(hub.stream(Integer.class, method, arguments));
    }

    Drained drain(Observable<Integer> stream) {
        var items = new CopyOnWriteArrayList<Integer>();
        try {
            // Not blockingForEach, which throws an error before it gives the items that came ahead of it.
            stream.doOnNext(items::add).ignoreElements().timeout(PATIENCE, TimeUnit.SECONDS).blockingAwait();
            return new Drained(items, Optional.empty());
        } catch (RuntimeException error) {
            return new Drained(items, Optional.of(String.valueOf(error.getMessage())));
        }
    }

    /** Collects the calls of a client method with one argument. */
    List<JsonElement> calls(HubConnection hub, String name) {
        var calls = new CopyOnWriteArrayList<JsonElement>();
        hub.on(name, calls::add, JsonElement.class);
        return calls;
    }

    /** How the connection ends: with the error's text, if there is an error. */
    CompletableFuture<Optional<String>> closing(HubConnection hub) {
        var closed = new CompletableFuture<Optional<String>>();
        hub.onClosed(error -> closed.complete(Optional.ofNullable(error).map(Throwable::getMessage)));
        return closed;
    }

    <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(PATIENCE, TimeUnit.SECONDS);
    }

    void alive(HubConnection hub) {
        equal(invoke(hub, "Echo", "alive"), json("\"alive\""), "the connection afterwards");
    }

    void equal(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": got " + shorten(got) + ", want " + shorten(want));
        }
    }

    void ok(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /** The call must fail; gives the error's text. */
    String rejects(Runnable call) {
        try {
            call.run();
        } catch (RuntimeException error) {
            // RxJava wraps what is not a RuntimeException.
            var cause = error.getClass() == RuntimeException.class && error.getCause() != null ? error.getCause() : error;
            if (cause instanceof java.util.concurrent.TimeoutException) {
                throw new AssertionError("expected an error, got no answer");
            }
            return String.valueOf(cause.getMessage());
        }
        throw new AssertionError("expected an error, got none");
    }

    void until(Callable<Boolean> question, String what) throws Exception {
        var end = System.nanoTime() + TimeUnit.SECONDS.toNanos(8);
        while (!question.call()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not within 8 s: " + what);
            }
            Thread.sleep(25);
        }
    }

    static JsonElement json(String text) {
        return text == null ? JsonNull.INSTANCE : JsonParser.parseString(text);
    }

    private static String shorten(Object value) {
        var text = String.valueOf(value);
        return text.length() > 200 ? text.substring(0, 200) + "…" : text;
    }

    /** Valid for ten minutes. */
    private static String tokenFor(String user) {
        try {
            var now = System.currentTimeMillis() / 1000;
            var claims = "{\"sub\":\"%s\",\"nbf\":%d,\"iat\":%d,\"exp\":%d}".formatted(user, now - 60, now, now + 600);
            var body = part("{\"alg\":\"HS256\",\"typ\":\"JWT\"}") + "." + part(claims);
            var mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(KEY.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
            return body + "." + base64(mac.doFinal(body.getBytes(StandardCharsets.UTF_8)));
        } catch (java.security.GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    private static String part(String text) {
        return base64(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String base64(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }
}
