package dev.hubwire.bench

import java.io.BufferedInputStream
import java.io.BufferedOutputStream
import java.io.DataInputStream
import java.io.EOFException
import java.io.OutputStream
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.security.MessageDigest
import java.util.Base64
import java.util.concurrent.locks.LockSupport
import kotlin.concurrent.thread
import kotlin.system.exitProcess

/**
 * A hub that does as little as it can, in a process of its own: what it costs is not measured. It speaks JSON over
 * WebSockets without negotiation, and puts every message into a frame of its own.
 *
 * `Push(count, bytes, perSecond)` sends so many events with an item of about that size, as fast as it can if
 * `perSecond` is 0; `Echo(value)` gives the value back.
 */
internal object PushServer {
    private const val END = '\u001e'
    private val TARGET = Regex(""""target":"(\w+)"""")
    private val ID = Regex(""""invocationId":"([^"]+)"""")
    private val ARGUMENTS = Regex(""""arguments":\[(.*)]""")

    @JvmStatic
    fun main(arguments: Array<String>) {
        val listener = ServerSocket(0, 50, InetAddress.getLoopbackAddress())
        println("listening on http://127.0.0.1:${listener.localPort}")
        // Ends with the process that started it.
        thread(isDaemon = true) {
            while (System.`in`.read() >= 0) Unit
            exitProcess(0)
        }
        while (true) {
            val socket = listener.accept()
            thread(isDaemon = true) { runCatching { serve(socket) } }
        }
    }

    private fun serve(socket: Socket) {
        socket.tcpNoDelay = true
        val input = DataInputStream(BufferedInputStream(socket.getInputStream(), 1 shl 16))
        val output = BufferedOutputStream(socket.getOutputStream(), 1 shl 16)
        var key = ""
        while (true) {
            @Suppress("DEPRECATION")
            val line = input.readLine() ?: return
            if (line.isEmpty()) break
            if (line.startsWith("Sec-WebSocket-Key:", ignoreCase = true)) key = line.substringAfter(':').trim()
        }
        val salted = "${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encodeToByteArray()
        val accept = Base64.getEncoder().encodeToString(MessageDigest.getInstance("SHA-1").digest(salted))
        val head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
            "Sec-WebSocket-Accept: $accept\r\n\r\n"
        output.write(head.encodeToByteArray())
        output.flush()
        var isFirst = true
        while (true) {
            val text = read(input, output) ?: return
            for (message in text.split(END)) {
                when {
                    message.isEmpty() -> Unit
                    isFirst -> {
                        isFirst = false
                        write(output, "{}$END")
                    }
                    else -> answer(message, output)
                }
            }
            output.flush()
        }
    }

    private fun answer(message: String, output: OutputStream) {
        val arguments = ARGUMENTS.find(message)?.groupValues?.get(1).orEmpty()
        val result = when (TARGET.find(message)?.groupValues?.get(1)) {
            "Push" -> {
                val (count, bytes, perSecond) = arguments.split(',').map { it.trim().toInt() }
                push(count, bytes, perSecond, output)
                "null"
            }
            "Echo" -> arguments
            // A ping.
            else -> return
        }
        val id = ID.find(message)?.groupValues?.get(1) ?: return
        write(output, """{"type":3,"invocationId":"$id","result":$result}$END""")
    }

    private fun push(count: Int, bytes: Int, perSecond: Int, output: OutputStream) {
        val start = System.nanoTime()
        for (index in 0 until count) {
            write(output, """{"type":1,"target":"event","arguments":[${item(index, bytes)}]}$END""")
            if (perSecond > 0) {
                output.flush()
                val due = start + (index + 1) * 1_000_000_000L / perSecond
                while (true) {
                    val rest = due - System.nanoTime()
                    if (rest <= 0) break
                    LockSupport.parkNanos(rest)
                }
            }
        }
    }

    /** An item of about that size in a message: the message around it has 45 bytes. */
    fun item(index: Int, bytes: Int): String {
        val head = """{"id":$index,"name":"item","values":[1.5,2.25],"texts":["""
        val text = "\"0123456789abcdef\""
        val texts = generateSequence { text }.take(maxOf(0, (bytes - head.length - 45) / (text.length + 1)))
        return head + texts.joinToString(",") + "]}"
    }

    private fun write(output: OutputStream, text: String) {
        val bytes = text.encodeToByteArray()
        output.write(0x81)
        when {
            bytes.size < 126 -> output.write(bytes.size)
            else -> {
                check(bytes.size <= 0xffff)
                output.write(126)
                output.write(bytes.size shr 8)
                output.write(bytes.size and 0xff)
            }
        }
        output.write(bytes)
    }

    /** The next text, or none when the connection is closed. */
    private fun read(input: DataInputStream, output: OutputStream): String? {
        while (true) {
            val first = try {
                input.readUnsignedByte()
            } catch (_: EOFException) {
                return null
            }
            val second = input.readUnsignedByte()
            val length = when (val short = second and 0x7f) {
                126 -> input.readUnsignedShort()
                127 -> input.readLong().toInt()
                else -> short
            }
            val mask = ByteArray(4).also(input::readFully)
            val payload = ByteArray(length).also(input::readFully)
            for (index in payload.indices) {
                payload[index] = (payload[index].toInt() xor mask[index and 3].toInt()).toByte()
            }
            when (first and 0x0f) {
                8 -> {
                    output.write(byteArrayOf(0x88.toByte(), 0))
                    output.flush()
                    return null
                }
                9 -> {
                    output.write(0x8a)
                    output.write(payload.size)
                    output.write(payload)
                    output.flush()
                }
                1, 2 -> return payload.decodeToString()
            }
        }
    }
}
