/**
 * What a transport answers when no connection is behind it: nothing waits, nothing is kept, no more input comes and there is no peer. Whoever
 * stands in for a loop (a script's replies, a datagram, a measurement) extends it by what its output is for.
 */
export class Unconnected {
  outputBytes(_conn: number): number {
    return 0;
  }
  outputMemory(_conn: number): number {
    return 0;
  }
  outputChunks(_conn: number): number {
    return 0;
  }
  inputBytes(_conn: number): number {
    return 0;
  }
  inputCapacity(_conn: number): number {
    return 0;
  }
  readInto(_conn: number, _offset: number, _length: number): void {}
  pause(_conn: number): void {}
  resume(_conn: number): void {}
  yieldTurn(_conn: number): void {}
  close(_conn: number, _afterOutput: boolean): void {}
  peerName(_conn: number): string {
    return '';
  }
  localName(_conn: number): string {
    return '';
  }
  descriptor(_conn: number): number {
    return -1;
  }
}
