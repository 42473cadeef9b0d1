import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Random } from "./random.ts";

/*
 * A wire that breaks: a TCP proxy in front of some servers, which takes them by turns and passes over those that are
 * not there. It cuts connections, holds their bytes, and loses replies to requests that have gone through.
 */

export interface Wire {
  readonly port: number;
  readonly counts: { cut: number; stalled: number; repliesLost: number };
  /** Cuts a share of the connections that are open. */
  cut(share: number, random: Random): void;
  /** Holds the bytes of a share of the connections, both ways; then lets them go on, or cuts them. */
  stall(share: number, then: { milliseconds: number; end: "go on" | "cut"; random: Random }): Promise<void>;
  /** Of the next replies, so many are thrown away, and their connections cut: what was asked for has been done. */
  loseReplies(many: number): void;
  close(): Promise<void>;
}

interface Line {
  readonly near: Socket;
  readonly far: Socket;
}

/** @param targets ports on this machine, in the order in which they are taken by turns */
export async function openWire(targets: () => readonly number[]): Promise<Wire> {
  const lines = new Set<Line>();
  const counts = { cut: 0, stalled: 0, repliesLost: 0 };
  let toLose = 0;
  let turn = 0;

  const drop = ({ near, far }: Line) => {
    cutOff(near);
    cutOff(far);
  };

  async function accept(near: Socket): Promise<void> {
    near.on("error", () => {});
    near.pause();
    const ports = targets();
    const first = turn++;
    for (let tried = 0; tried < ports.length && !near.destroyed; tried++) {
      const far = await reach(ports[(first + tried) % ports.length] as number);
      if (far !== undefined) return join(near, far);
    }
    near.destroy();
  }

  function join(near: Socket, far: Socket): void {
    const line = { near, far };
    lines.add(line);
    const over = () => {
      lines.delete(line);
      near.destroy();
      far.destroy();
    };
    near.on("data", (bytes) => void far.write(bytes));
    far.on("data", (bytes) => {
      if (toLose > 0) {
        toLose--;
        counts.repliesLost++;
        drop(line);
      } else near.write(bytes);
    });
    for (const end of [near, far]) end.on("error", () => {}).on("close", over);
    // What one side has said before it hung up still arrives.
    near.on("end", () => far.end());
    far.on("end", () => near.end());
    near.resume();
  }

  const some = (share: number, random: Random) => [...lines].filter(() => random.chance(share));
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => void accept(near));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    port: (server.address() as AddressInfo).port,
    counts,
    cut(share, random) {
      for (const line of some(share, random)) {
        counts.cut++;
        drop(line);
      }
    },
    async stall(share, { milliseconds, end, random }) {
      const held = some(share, random);
      for (const { near, far } of held) {
        counts.stalled++;
        near.pause();
        far.pause();
      }
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      for (const line of held) {
        if (end === "cut") drop(line);
        else for (const side of [line.near, line.far]) side.resume();
      }
    },
    loseReplies(many) {
      toLose += many;
    },
    async close() {
      server.close();
      for (const line of lines) drop(line);
      await once(server, "close");
    },
  };
}

/**
 * As a cable does: no orderly end. Where one is under way it cannot be had: libuv refuses the reset, Node takes the socket
 * for closed then, and the process never ends.
 */
export function cutOff(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

/** Undefined when nobody listens there. */
function reach(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const far = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    far.once("connect", () => resolve(far));
    far.once("error", () => resolve(undefined));
  });
}
