package dev.hubwire.hubs

import dev.hubwire.HubConnection
import dev.hubwire.JoinMethod
import dev.hubwire.Registration
import dev.hubwire.invoke
import dev.hubwire.perform
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.serialization.Serializable
import kotlinx.serialization.Transient
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject

private const val PING = "Ping"
private val TASK_JOIN = JoinMethod("SubscribeToTask", "UnsubscribeFromTask")

/** The hub of all tasks. What was subscribed to is subscribed to again after a new connection. */
public val TaskHub: HubDefinition =
    HubDefinition("/hubs/tasks", listOf(TASK_JOIN, JoinMethod("SubscribeToTaskType", "UnsubscribeFromTaskType")), PING)

/** The hub of tasks that make videos. */
public val VideoHub: HubDefinition = HubDefinition("/hubs/video-generation", listOf(TASK_JOIN), PING)

/** The hub of tasks that make images. */
public val ImageHub: HubDefinition = HubDefinition("/hubs/image-generation", listOf(TASK_JOIN), PING)

/** A task has started. */
@Serializable
public data class TaskStarted(
    val taskId: String,
    val taskType: String,
    val metadata: Map<String, JsonElement> = emptyMap(),
)

/**
 * How far a task is. From a Hubwire server always the whole object, though only what has changed is sent; other
 * servers say the first two or three.
 */
@Serializable
public data class TaskProgress(
    val taskId: String,
    /** 0 to 100. */
    val progressPercentage: Double,
    val message: String? = null,
    val status: String? = null,
    /** ISO 8601. */
    val timestamp: String? = null,
    /** Everything that the server said. */
    @Transient val details: JsonObject = JsonObject(emptyMap()),
)

/** A task has its result. */
@Serializable
public data class TaskCompleted(val taskId: String, val result: JsonElement = JsonNull)

/** A task has failed. */
@Serializable
public data class TaskFailed(val taskId: String, val error: String, val isRetryable: Boolean = false)

/** A task was taken back. */
@Serializable
public data class TaskCancelled(val taskId: String, val reason: String? = null)

/** A task took too long. */
@Serializable
public data class TaskTimedOut(val taskId: String, val timeoutSeconds: Double)

/**
 * A client of [TaskHub]: `TaskHubClient(manager.hub(TaskHub)) { manager.hub(it) }`. Who subscribes gets the present
 * state of the task as an event.
 *
 * With [hub], tasks whose type says that they make videos or images are subscribed to on the hub for those, too.
 */
public class TaskHubClient(
    connection: HubConnection,
    private val hub: ((HubDefinition) -> HubConnection)? = null,
) : HubClient(connection) {
    /** Asked for once: it counts as held. */
    private val others = HashMap<HubDefinition, HubConnection>()

    /** Runs [handler] when a task starts. */
    public fun onStarted(handler: suspend (TaskStarted) -> Unit): Registration =
        on("TaskStarted", listOf("taskId", "taskType", "metadata"), TaskStarted.serializer()) { event, _ ->
            handler(event)
        }

    /** Runs [handler] when a task gets on. */
    public fun onProgress(handler: suspend (TaskProgress) -> Unit): Registration =
        on("TaskProgress", listOf("taskId", "progressPercentage", "message"), TaskProgress.serializer()) { event, all ->
            handler(event.copy(details = all))
        }

    /** Runs [handler] when a task has its result. */
    public fun onCompleted(handler: suspend (TaskCompleted) -> Unit): Registration =
        on("TaskCompleted", listOf("taskId", "result"), TaskCompleted.serializer()) { event, _ -> handler(event) }

    /** Runs [handler] when a task has failed. */
    public fun onFailed(handler: suspend (TaskFailed) -> Unit): Registration =
        on("TaskFailed", listOf("taskId", "error", "isRetryable"), TaskFailed.serializer()) { event, _ ->
            handler(event)
        }

    /** Runs [handler] when a task was taken back. */
    public fun onCancelled(handler: suspend (TaskCancelled) -> Unit): Registration =
        on("TaskCancelled", listOf("taskId", "reason"), TaskCancelled.serializer()) { event, _ -> handler(event) }

    /** Runs [handler] when a task took too long. */
    public fun onTimedOut(handler: suspend (TaskTimedOut) -> Unit): Registration =
        on("TaskTimedOut", listOf("taskId", "timeoutSeconds"), TaskTimedOut.serializer()) { event, _ ->
            handler(event)
        }

    /** Begins to follow a task of one's own. */
    public suspend fun subscribeToTask(taskId: String, taskType: String = ""): Unit =
        each("SubscribeToTask", taskId, taskType)

    /** Ends that. */
    public suspend fun unsubscribeFromTask(taskId: String, taskType: String = ""): Unit =
        each("UnsubscribeFromTask", taskId, taskType)

    /** Begins to hear of the start of tasks of that type. */
    public suspend fun subscribeToTaskType(taskType: String): Unit =
        connection.perform("SubscribeToTaskType", taskType)

    /** Ends that. */
    public suspend fun unsubscribeFromTaskType(taskType: String): Unit =
        connection.perform("UnsubscribeFromTaskType", taskType)

    /** The time of the server, in milliseconds since 1970. */
    public suspend fun ping(): Long = connection.invoke(PING)

    private suspend fun each(method: String, taskId: String, taskType: String): Unit = coroutineScope {
        launch { connection.perform(method, taskId) }
        val definition = when {
            "video" in taskType -> VideoHub
            "image" in taskType -> ImageHub
            else -> null
        }
        if (definition != null && hub != null) {
            val other = synchronized(others) { others.getOrPut(definition) { hub(definition) } }
            launch { other.perform(method, taskId) }
        }
    }
}
