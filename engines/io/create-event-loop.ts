/** Picks an event loop by name. */
import type { Allocator } from '../ports.ts';
import { createEpollLoop } from './epoll-loop.ts';
import type { EventLoop, EventLoopName, EventLoopOptions } from './event-loop.ts';
import { createLibuvLoop } from './libuv-loop.ts';
import { systemAvailable } from './system.ts';

/** @returns the loop that "auto" stands for here: epoll where system calls can be made, else libuv */
export function automaticEventLoop(allocator: Allocator): EventLoopName {
  return systemAvailable() && allocator.memory.address !== 0 ? 'epoll' : 'libuv';
}

/** @throws Error when the loop asked for cannot be had on this machine */
export function createEventLoop(
  name: EventLoopName | 'auto',
  allocator: Allocator,
  options?: EventLoopOptions,
): EventLoop {
  const chosen = name === 'auto' ? automaticEventLoop(allocator) : name;
  return chosen === 'epoll' ? createEpollLoop(allocator, options) : createLibuvLoop(allocator, options);
}
