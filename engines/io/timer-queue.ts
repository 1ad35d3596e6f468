/** Time events of a loop: a binary heap by due time. Ids are never reused, so a late `cancel` is harmless. */

interface Timer {
  id: number;
  dueUs: number;
  /** Position in the heap, -1 when not in it. */
  at: number;
  callback: (() => number) | null;
}

export class TimerQueue {
  private readonly heap: Timer[] = [];
  private readonly byId = new Map<number, Timer>();
  private nextId = 1;

  /** @returns an id for `cancel` */
  add(dueUs: number, callback: () => number): number {
    const timer: Timer = { id: this.nextId++, dueUs, at: -1, callback };
    this.byId.set(timer.id, timer);
    this.push(timer);
    return timer.id;
  }

  /** Unknown and ended ids are ignored. */
  cancel(id: number): void {
    const timer = this.byId.get(id);
    if (timer === undefined) return;
    this.byId.delete(id);
    timer.callback = null;
    if (timer.at >= 0) this.removeAt(timer.at);
  }

  /** Due time of the earliest timer in µs, Infinity when there is none. */
  get nextDueUs(): number {
    const heap = this.heap;
    return heap.length === 0 ? Number.POSITIVE_INFINITY : heap[0]!.dueUs;
  }

  get size(): number {
    return this.byId.size;
  }

  clear(): void {
    for (const timer of this.heap) timer.callback = null;
    this.heap.length = 0;
    this.byId.clear();
  }

  /** Calls what is due. A timer that asks for a delay of 0 runs again in the next turn, not in this one. */
  runDue(nowUs: number): void {
    const heap = this.heap;
    if (heap.length === 0 || heap[0]!.dueUs > nowUs) return;
    const due: Timer[] = [];
    while (heap.length > 0 && heap[0]!.dueUs <= nowUs) {
      due.push(heap[0]!);
      this.removeAt(0);
    }
    for (const timer of due) {
      // Cancelled by a timer before it in this same round.
      if (timer.callback === null) continue;
      const delayMs = timer.callback();
      if (timer.callback === null) continue;
      if (delayMs < 0) {
        this.byId.delete(timer.id);
        timer.callback = null;
      } else {
        timer.dueUs = nowUs + delayMs * 1000;
        this.push(timer);
      }
    }
  }

  private push(timer: Timer): void {
    timer.at = this.heap.length;
    this.heap.push(timer);
    this.up(timer);
  }

  private removeAt(at: number): void {
    const heap = this.heap;
    const removed = heap[at]!;
    const last = heap.pop()!;
    removed.at = -1;
    if (last === removed) return;
    heap[at] = last;
    last.at = at;
    this.up(last);
    this.down(last);
  }

  private up(timer: Timer): void {
    const heap = this.heap;
    while (timer.at > 0) {
      const parent = heap[(timer.at - 1) >> 1]!;
      if (parent.dueUs <= timer.dueUs) return;
      this.swap(parent, timer);
    }
  }

  private down(timer: Timer): void {
    const heap = this.heap;
    for (;;) {
      const left = timer.at * 2 + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && heap[right]!.dueUs < heap[left]!.dueUs ? heap[right]! : heap[left]!;
      if (child.dueUs >= timer.dueUs) return;
      this.swap(timer, child);
    }
  }

  private swap(upper: Timer, lower: Timer): void {
    const at = upper.at;
    upper.at = lower.at;
    lower.at = at;
    this.heap[upper.at] = upper;
    this.heap[lower.at] = lower;
  }
}
