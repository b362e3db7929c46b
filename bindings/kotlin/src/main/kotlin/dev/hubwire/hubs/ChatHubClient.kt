package dev.hubwire.hubs

import dev.hubwire.HubConnection
import dev.hubwire.JoinMethod
import dev.hubwire.Priority
import dev.hubwire.Registration
import dev.hubwire.args
import dev.hubwire.perform
import kotlin.uuid.ExperimentalUuidApi
import kotlin.uuid.Uuid
import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerialName
import kotlinx.serialization.Serializable

/** The chat hub. Conversations that were joined are joined again after a new connection. */
public val ChatHub: HubDefinition =
    HubDefinition("/hubs/chat", listOf(JoinMethod("JoinConversation", "LeaveConversation")))

/** A message of a conversation. Times are in ISO 8601. */
@Serializable
public data class ChatMessage(
    val messageId: String,
    val conversationId: String,
    val userId: String,
    val content: String,
    val timestamp: String,
    val edited: Boolean = false,
)

/** Whether somebody came or went. */
@Serializable
public enum class MembershipChange {
    @SerialName("user_joined")
    Joined,

    @SerialName("user_left")
    Left,
}

/** Somebody came or went. */
@Serializable
public data class Membership(
    val conversationId: String,
    val userId: String,
    val type: MembershipChange,
    val timestamp: String,
)

/** Who is writing, after a change of that. */
@Serializable
public data class TypingUpdate(val conversationId: String, val typingUsers: List<String>, val timestamp: String)

/** A message is gone. */
@Serializable
public data class MessageDeleted(
    val conversationId: String,
    val messageId: String,
    val deletedBy: String,
    val timestamp: String,
)

/** Somebody has read as far as that. */
@Serializable
public data class ConversationUpdated(
    val conversationId: String,
    val userId: String,
    val lastReadMessageId: String,
    val timestamp: String,
)

/** A client of [ChatHub]: `ChatHubClient(manager.hub(ChatHub))`. */
public class ChatHubClient(connection: HubConnection) : HubClient(connection) {
    // Of no use later: whoever writes is still writing when the connection is back.
    private val typing = TypingSignal { method, conversationId ->
        connection.call<Unit>(method, args(conversationId)) {
            queue = false
            awaitResult = false
        }
    }

    /** Runs [handler] with every message of the conversations that were joined. */
    public fun onMessage(handler: suspend (ChatMessage) -> Unit): Registration =
        on("ReceiveMessage", ChatMessage.serializer(), handler)

    /** Runs [handler] with every message that was changed. */
    public fun onMessageEdited(handler: suspend (ChatMessage) -> Unit): Registration =
        on("MessageEdited", ChatMessage.serializer(), handler)

    /** Runs [handler] for every message that was deleted. */
    public fun onMessageDeleted(handler: suspend (MessageDeleted) -> Unit): Registration =
        on("MessageDeleted", MessageDeleted.serializer(), handler)

    /** Runs [handler] when somebody joins a conversation. */
    public fun onUserJoined(handler: suspend (Membership) -> Unit): Registration =
        on("UserJoined", Membership.serializer(), handler)

    /** Runs [handler] when somebody leaves a conversation. */
    public fun onUserLeft(handler: suspend (Membership) -> Unit): Registration =
        on("UserLeft", Membership.serializer(), handler)

    /** Runs [handler] when it changes who is writing. */
    public fun onTyping(handler: suspend (TypingUpdate) -> Unit): Registration =
        on("TypingUpdate", TypingUpdate.serializer(), handler)

    /** Runs [handler] when somebody has read on. */
    public fun onConversationUpdated(handler: suspend (ConversationUpdated) -> Unit): Registration =
        on("ConversationUpdated", ConversationUpdated.serializer(), handler)

    /**
     * Sends a message to a conversation that was joined; returns the message as everybody gets it. A [durable] one
     * outlives the process, and who waits for it.
     */
    @OptIn(ExperimentalUuidApi::class)
    public suspend fun sendMessage(
        conversationId: String,
        content: String,
        messageId: String = Uuid.random().toHexString(),
        durable: Boolean = false,
    ): ChatMessage {
        // For the server it ends the writing.
        typing.forget(conversationId)
        val message = NewMessage(conversationId, messageId, content)
        if (!durable) {
            return connection.invoke("SendMessage", args(message))
        }
        return connection.call<ChatMessage>("SendMessage", args(message)) { this.durable = true }.await()
    }

    /** Begins to hear what is said there. */
    public suspend fun joinConversation(conversationId: String) {
        // Before what an earlier process has left in the outbox: nothing can be said where one has not joined.
        connection.call<Unit>("JoinConversation", args(conversationId)) { priority = Priority.Critical }
            .awaitOrCancel()
    }

    /** Ends that. */
    public suspend fun leaveConversation(conversationId: String) {
        typing.forget(conversationId)
        connection.perform("LeaveConversation", conversationId)
    }

    /**
     * The user has pressed a key. The others see it at once, and until 3 s after the last call, [stopTyping] or a
     * message.
     */
    public fun startTyping(conversationId: String): Unit = typing.start(conversationId)

    /** The user has stopped writing. */
    public fun stopTyping(conversationId: String): Unit = typing.stop(conversationId)

    /** Changes a message of one's own. */
    public suspend fun editMessage(conversationId: String, messageId: String, newContent: String): Unit =
        connection.perform("EditMessage", EditedMessage(conversationId, messageId, newContent))

    /** Deletes a message of one's own. */
    public suspend fun deleteMessage(conversationId: String, messageId: String): Unit =
        connection.perform("DeleteMessage", MessageRef(conversationId, messageId))

    /** Tells that the user has read as far as that. */
    public suspend fun markAsRead(conversationId: String, messageId: String): Unit =
        connection.perform("MarkAsRead", MessageRef(conversationId, messageId))

    private fun <T> on(target: String, event: KSerializer<T>, handler: suspend (T) -> Unit): Registration =
        on(target, emptyList(), event) { value, _ -> handler(value) }
}

@Serializable
private class NewMessage(val conversationId: String, val messageId: String, val content: String)

@Serializable
private class EditedMessage(val conversationId: String, val messageId: String, val newContent: String)

@Serializable
private class MessageRef(val conversationId: String, val messageId: String)
