/** Of the WebAssembly JavaScript Interface, as far as it is used here. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};
/** Bytes of a page of WebAssembly's. */
const WASM_PAGE = 64 * 1024;

const aligned = new WeakSet<ArrayBufferLike>();

/**
 * Memory full of zeros that begins where a page of the machine does, as direct I/O wants it: of all that Node offers, a memory of
 * WebAssembly alone promises that. Where there is no room for its address space (ulimit -v) it is an ordinary buffer.
 */
export function pageAlignedBuffer(size: number): Buffer<ArrayBuffer> {
  const pages = Math.ceil(size / WASM_PAGE);
  try {
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    aligned.add(buffer);
    return Buffer.from(buffer, 0, size);
  } catch {
    return Buffer.alloc(size);
  }
}

/** Notes that a memory of WebAssembly's came from another thread. */
export function trustAligned(memory: ArrayBufferLike): void {
  aligned.add(memory);
}

/** Whether the memory that holds these bytes is of `pageAlignedBuffer`, or trusted to be like it. */
export function isPageAligned(bytes: Uint8Array): boolean {
  return aligned.has(bytes.buffer);
}
