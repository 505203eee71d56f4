// A WebSocket server of one hundred lines: text frames, close, ping. Enough for the staff page; node has none of its own.

import {createHash} from "node:crypto";

const kMagic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export class Socket {
  constructor(stream, {onText, onClose}) {
    Object.assign(this, {stream, onText, onClose, pending: Buffer.alloc(0), isOpen: true});
    stream.on("data", (bytes) => this.take(bytes));
    stream.on("close", () => this.gone());
    stream.on("error", () => this.gone());
  }

  send(message) {
    if (!this.isOpen) return;
    const body = Buffer.from(JSON.stringify(message));
    this.stream.write(Buffer.concat([head(0x81, body.length), body]));
  }

  close(code) {
    if (!this.isOpen) return;
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.stream.write(Buffer.concat([head(0x88, 2), body]));
    this.stream.end();
    this.gone();
  }

  /** As a cable that is pulled. */
  cut() { this.stream.destroy(); this.gone(); }

  gone() {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.onClose();
  }

  take(bytes) {
    this.pending = Buffer.concat([this.pending, bytes]);
    for (;;) {
      const frame = this.frame();
      if (!frame) return;
      if (frame.op === 1) this.onText(frame.body.toString());
      else if (frame.op === 8) { this.close(1000); return; }
      else if (frame.op === 9) this.stream.write(Buffer.concat([head(0x8a, frame.body.length), frame.body]));
    }
  }

  frame() {
    const bytes = this.pending;
    if (bytes.length < 2) return null;
    let length = bytes[1] & 127;
    let at = 2;
    if (length === 126) { if (bytes.length < 4) return null; length = bytes.readUInt16BE(2); at = 4; }
    else if (length === 127) { if (bytes.length < 10) return null; length = Number(bytes.readBigUInt64BE(2)); at = 10; }
    if (bytes.length < at + 4 + length) return null;
    const mask = bytes.subarray(at, at + 4);
    const body = Buffer.from(bytes.subarray(at + 4, at + 4 + length));
    for (let index = 0; index < body.length; ++index) body[index] ^= mask[index & 3];
    this.pending = bytes.subarray(at + 4 + length);
    return {op: bytes[0] & 15, body};
  }
}

function head(first, length) {
  if (length < 126) return Buffer.from([first, length]);
  const bytes = Buffer.alloc(length < 65536 ? 4 : 10);
  bytes[0] = first;
  if (length < 65536) { bytes[1] = 126; bytes.writeUInt16BE(length, 2); }
  else { bytes[1] = 127; bytes.writeBigUInt64BE(BigInt(length), 2); }
  return bytes;
}

export function upgrade(request, stream, handlers) {
  const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + kMagic).digest("base64");
  stream.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  stream.setNoDelay(true);
  return new Socket(stream, handlers);
}
