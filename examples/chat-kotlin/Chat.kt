// A chat on the command line: joins a conversation, prints what is said, and sends the lines that are typed.
//
//     chat URL NAME-OF-THE-CONVERSATION [TOKEN]
//
// Lines that are typed while the connection is away are sent when it is back.
package dev.hubwire.example

import dev.hubwire.ConnectionState
import dev.hubwire.HubConnection
import dev.hubwire.HubException
import dev.hubwire.StateCause
import dev.hubwire.hubs.ChatHub
import dev.hubwire.hubs.ChatHubClient
import dev.hubwire.hubs.hub
import kotlin.system.exitProcess
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

/** For the command line. */
object Chat {
    @JvmStatic
    fun main(arguments: Array<String>) {
        if (arguments.size !in 2..3) {
            System.err.println("usage: chat URL CONVERSATION [TOKEN]")
            exitProcess(2)
        }
        val (url, conversation) = arguments
        runBlocking { chat(url.trimEnd('/') + ChatHub.path, conversation, arguments.getOrNull(2)) }
    }
}

private suspend fun chat(url: String, conversation: String, token: String?) {
    val connection = HubConnection(url) {
        hub(ChatHub)
        token?.let { accessToken { it } }
    }
    connection.use {
        val chat = ChatHubClient(connection)
        chat.onMessage { message -> println("${message.userId}: ${message.content}") }
        chat.onUserJoined { println("* ${it.userId} is here") }
        chat.onUserLeft { println("* ${it.userId} has gone") }
        val scope = CoroutineScope(Dispatchers.Default)
        val states = scope.launch(start = CoroutineStart.UNDISPATCHED) { show(connection) }
        try {
            connection.start()
            chat.joinConversation(conversation)
            println("* joined $conversation; type, and end with an empty line")
            say(chat, conversation, scope)
            connection.stop()
        } catch (error: HubException) {
            println("* ${error.kind}: ${error.message}")
        } finally {
            states.cancel()
        }
    }
}

/** Shows every change of the state. */
private suspend fun show(connection: HubConnection) {
    connection.stateChanges.collect { change ->
        val why = (change.cause as? StateCause.Failed)?.error?.message
        when (change.to) {
            ConnectionState.Connected -> println("* connected")
            ConnectionState.Reconnecting -> println("* the connection is lost: $why")
            ConnectionState.Disconnected -> println("* disconnected" + (why?.let { ": $it" } ?: ""))
            else -> Unit
        }
    }
}

/** Sends lines until there are no more; none waits for the one before. */
private suspend fun say(chat: ChatHubClient, conversation: String, scope: CoroutineScope) {
    val sent = mutableListOf<Job>()
    while (true) {
        val line = withContext(Dispatchers.IO) { readlnOrNull() }
        if (line.isNullOrBlank()) break
        sent += scope.launch(start = CoroutineStart.UNDISPATCHED) {
            try {
                chat.sendMessage(conversation, line)
            } catch (error: HubException) {
                println("* not sent: $line (${error.message})")
            }
        }
        sent.removeAll { it.isCompleted }
    }
    sent.joinAll()
}
