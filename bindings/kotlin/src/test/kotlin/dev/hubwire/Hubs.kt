package dev.hubwire

import dev.hubwire.hubs.ChatHub
import dev.hubwire.hubs.ChatHubClient
import dev.hubwire.hubs.ChatMessage
import dev.hubwire.hubs.HubDefinition
import dev.hubwire.hubs.Membership
import dev.hubwire.hubs.MembershipChange
import dev.hubwire.hubs.TaskCompleted
import dev.hubwire.hubs.TaskHub
import dev.hubwire.hubs.TaskHubClient
import dev.hubwire.hubs.TaskProgress
import dev.hubwire.hubs.TaskStarted
import dev.hubwire.hubs.hub
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.serialization.json.JsonPrimitive

internal fun Scenarios.hubs() {
    scenario("manager") {
        HubManager(server.origin) {
            maxConnections = 2
            idleAfter = 100.milliseconds
            connections { retry = Scene.QUICK }
        }.use { manager ->
            val interop = "/hubs/interop"
            val first = manager.connect(interop)
            holds(first === manager.hub("hubs/interop")) { "there are two connections" }
            same(3, first.invoke<Int, _, _>("Add", 1, 2))
            val both = manager.connectAll(listOf(HubDefinition("/hubs/delivery"), HubDefinition("/hubs/none")))
            holds(both[0].connection != null) { "${both[0].error}" }
            same(ErrorKind.Overflow, both[1].error?.kind, "the kind")
            same(setOf(interop, "/hubs/delivery", "/hubs/none"), manager.states.keys)
            // Idle: given back, twice as it was taken.
            val closed = async {
                manager.stateChanges.first { it.path == interop && it.change.to == ConnectionState.Disconnected }
            }
            manager.release(interop)
            manager.release(interop)
            within("the end of the idle connection") { first.state.first { it == ConnectionState.Disconnected } }
            within("the change") { closed.await() }
            // Its next use starts it again.
            holds(first === manager.hub(interop)) { "there are two connections" }
            first.awaitState(ConnectionState.Connected)
            within("the end of all") { manager.disconnectAll() }
            same(setOf(ConnectionState.Disconnected), manager.states.values.toSet())
            holds(manager.connect(interop) === first) { "there are two connections" }
        }
        fails(HubException.Misuse::class, "maxConnections") { HubManager(server.origin) { maxConnections = 0 } }
    }

    scenario("own.manager.connect-while-stopping") {
        val interop = "/hubs/interop"
        HubManager(server.origin).use { manager ->
            val connection = within("the connection") { manager.connect(interop) }
            repeat(10) {
                val before = connection.connectionId
                val end = async(start = CoroutineStart.UNDISPATCHED) { manager.disconnect(interop) }
                same(connection, within("the next connection") { manager.connect(interop) })
                within("the end") { end.await() }
                same(ConnectionState.Connected, connection.state.value, "the state")
                holds(connection.connectionId != before) { "it is the connection that was stopped" }
            }
        }
    }

    scenario("own.manager.closed") {
        val interop = "/hubs/interop"
        val manager = HubManager(server.origin)
        val connection = within("the connection") { manager.connect(interop) }
        val end = async(start = CoroutineStart.UNDISPATCHED) { manager.disconnect(interop) }
        manager.close()
        within("the end") { end.await() }
        connection.awaitState(ConnectionState.Disconnected)
        within("another end") { manager.disconnect(interop) }
        fails(HubException.Misuse::class, "The manager was closed.") { manager.connect(interop) }
        fails(HubException.Misuse::class, "The manager was closed.") { manager.hub("/hubs/delivery") }
        manager.close()
    }

    scenario("own.manager.connect-all.cancelled") {
        val interop = HubDefinition("/hubs/interop")
        val asked = CompletableDeferred<Unit>()
        HubManager(server.origin) {
            idleAfter = 50.milliseconds
            connections { path ->
                if (path != interop.path) {
                    accessToken {
                        asked.complete(Unit)
                        awaitCancellation()
                    }
                }
            }
        }.use { manager ->
            val all = async(start = CoroutineStart.UNDISPATCHED) {
                manager.connectAll(listOf(interop, HubDefinition("/hubs/delivery")))
            }
            within("the question") { asked.await() }
            eventually("one of the two") { manager.states[interop.path] == ConnectionState.Connected }
            all.cancelAndJoin()
            // Nobody holds it.
            eventually("its end") { manager.states[interop.path] == ConnectionState.Disconnected }
        }
    }

    scenario("hub.chat") {
        suspend fun user(name: String): ChatHubClient = ChatHubClient(
            connected(server.origin + ChatHub.path) {
                hub(ChatHub)
                accessToken { Server.token(name) }
            },
        )
        val (ann, bob) = user("ann") to user("bob")
        val room = "room-${System.nanoTime()}"
        val heard = Events<ChatMessage>()
        val edited = Events<ChatMessage>()
        val came = Events<Membership>()
        val writing = Events<List<String>>()
        ann.onMessage { heard.push(it) }
        ann.onMessageEdited { edited.push(it) }
        ann.onUserJoined { came.push(it) }
        ann.onTyping { writing.push(it.typingUsers) }
        within("joining") { ann.joinConversation(room) }
        same("ann", came.next().userId)
        within("joining") { bob.joinConversation(room) }
        val joined = came.next()
        same("bob" to MembershipChange.Joined, joined.userId to joined.type)
        bob.startTyping(room)
        same(listOf("bob"), writing.next())
        bob.stopTyping(room)
        same(emptyList<String>(), writing.next())
        val sent = within("the message") { bob.sendMessage(room, "hello") }
        same(sent, heard.next())
        same("hello" to "bob", sent.content to sent.userId)
        bob.editMessage(room, sent.messageId, "hello all")
        same("hello all", edited.next().content)
        ann.markAsRead(room, sent.messageId)
        bob.deleteMessage(room, sent.messageId)
        bob.leaveConversation(room)
        fails(HubException.Refused::class) { bob.sendMessage(room, "gone") }
    }

    scenario("own.hub.chat.join-cancelled") {
        val connection = connection()
        val join = async(start = CoroutineStart.UNDISPATCHED) { ChatHubClient(connection).joinConversation("room") }
        // Not connected: it waits.
        same(1, connection.pendingCalls, "the calls")
        join.cancelAndJoin()
        eventually("the end of the call") { connection.pendingCalls == 0 }
    }

    scenario("hub.tasks") {
        val client = TaskHubClient(
            connected(server.origin + TaskHub.path) {
                hub(TaskHub)
                accessToken { Server.token("tasks", ""","VirtualKeyId":"7"""") }
            },
        )
        val driver = connected("${server.origin}/hubs/delivery")
        val started = Events<TaskStarted>()
        val progress = Events<TaskProgress>()
        val completed = Events<TaskCompleted>()
        client.onStarted { started.push(it) }
        client.onProgress { progress.push(it) }
        client.onCompleted { completed.push(it) }
        val id = "task-${System.nanoTime()}"
        driver.perform("StartTask", id, "text")
        within("the subscription") { client.subscribeToTask(id) }
        same(id to "text", started.next().let { it.taskId to it.taskType })
        for (percentage in listOf(10, 60)) {
            driver.perform("Progress", id, percentage)
            val state = progress.next()
            same(id to percentage.toDouble(), state.taskId to state.progressPercentage)
            holds("taskId" in state.details) { "$state" }
        }
        driver.perform("CompleteTask", id, "done")
        same(TaskCompleted(id, JsonPrimitive("done")), completed.next())
        client.unsubscribeFromTask(id)
        holds(client.ping() > 1_700_000_000_000) { "the time is another" }
        fails(HubException.Refused::class) { client.subscribeToTask("no such task") }
    }
}
