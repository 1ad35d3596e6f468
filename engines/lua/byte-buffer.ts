/** Bytes that grow, on the JavaScript heap: what a library's function builds before it becomes a Lua string. */

const FIRST_BYTES = 4_096;
/** Room that is kept between uses. */
const KEPT_BYTES = 1 << 20;
const SHORT_COPY_BYTES = 48;

export class ByteBuffer {
  bytes = new Uint8Array(FIRST_BYTES);
  private view = new DataView(this.bytes.buffer);
  length = 0;

  clear(): void {
    this.length = 0;
    if (this.bytes.length > KEPT_BYTES) this.resize(FIRST_BYTES);
  }

  private resize(size: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  /** Makes room for so many more bytes. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.bytes.length) return;
    let size = this.bytes.length * 2;
    while (size < needed) size *= 2;
    this.resize(size);
  }

  put(byte: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  putText(text: string): void {
    this.reserve(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.length + i] = text.charCodeAt(i);
    this.length += text.length;
  }

  putBytes(from: Uint8Array, offset: number, length: number): void {
    this.reserve(length);
    if (length < SHORT_COPY_BYTES) {
      for (let i = 0; i < length; i++) this.bytes[this.length + i] = from[offset + i];
    } else {
      this.bytes.set(from.subarray(offset, offset + length), this.length);
    }
    this.length += length;
  }

  putU16(value: number): void {
    this.reserve(2);
    this.view.setUint16(this.length, value, false);
    this.length += 2;
  }

  putU32(value: number): void {
    this.reserve(4);
    this.view.setUint32(this.length, value, false);
    this.length += 4;
  }

  putI64(value: bigint): void {
    this.reserve(8);
    this.view.setBigInt64(this.length, BigInt.asIntN(64, value), false);
    this.length += 8;
  }

  putFloat(value: number, little = false): void {
    this.reserve(4);
    this.view.setFloat32(this.length, value, little);
    this.length += 4;
  }

  putDouble(value: number, little = false): void {
    this.reserve(8);
    this.view.setFloat64(this.length, value, little);
    this.length += 8;
  }
}
