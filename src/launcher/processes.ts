// What the launcher asks the operating system about processes. /proc answers on Linux; elsewhere the answers are `undefined`
// and the callers fall back to "alive or not".
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Sight } from './at-rest.ts';

export interface ProcessIdentity {
  pid: number;
  /** Start time in clock ticks since boot; tells a process from a later one with the same pid. */
  startTicks: string | undefined;
}

export function identify(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicksOf(pid) };
}

/** Is this very process still running (not merely another one with its pid)? */
export function isRunning({ pid, startTicks }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const stat = statOf(pid);
  if (stat === undefined) return true;
  return stat.state !== 'Z' && (startTicks === undefined || stat.startTicks === startTicks);
}

/** Names this boot and process namespace: pids can be compared only within the same one. Undefined where unknown. */
export function processSpace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return undefined;
  }
}

export function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The process that listens on a TCP port, where /proc shows it to us. Of several, the newest: the others have passed the socket on. */
export function ownerOfPort(port: number): { pid: number; command: string | undefined } | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  const holders = entriesOf('/proc').filter(
    (entry) => /^\d+$/.test(entry) && socketsOf(entry).some((socket) => inodes.has(socket)),
  );
  const newest = Math.max(...holders.map(Number));
  return holders.length === 0 ? undefined : { pid: newest, command: commandOf(newest) };
}

/** How much a process has of the machine, and whether it is connected with anyone; undefined where /proc does not tell. */
export function sightOf(pid: number): Sight | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const ownKiB = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
    const stat = statOf(pid);
    if (ownKiB === undefined || stat === undefined) return undefined;
    return { ownBytes: Number(ownKiB) * 1024, cpuTicks: stat.cpuTicks, connected: () => connectionsOf(pid) > 0 };
  } catch {
    return undefined;
  }
}

function connectionsOf(pid: number): number {
  const own = new Set(socketsOf(String(pid)));
  return tcpSockets().filter(({ state, inode }) => state !== LISTEN && own.has(inode)).length;
}

const LISTEN = '0A';

function listeningInodes(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const found = tcpSockets().filter(({ state, local }) => state === LISTEN && local.endsWith(suffix));
  return new Set(found.map(({ inode }) => inode));
}

/** The TCP sockets of our network namespace. Source: proc_pid_net(5). */
function tcpSockets(): Array<{ local: string; state: string; inode: string }> {
  const sockets: Array<{ local: string; state: string; inode: string }> = [];
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let lines: string[];
    try {
      lines = readFileSync(table, 'utf8').split('\n').slice(1);
    } catch {
      continue;
    }
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      const [local, state, inode] = [fields[1], fields[3], fields[9]];
      if (local && state && inode) sockets.push({ local, state, inode });
    }
  }
  return sockets;
}

function socketsOf(pid: string): string[] {
  return entriesOf(`/proc/${pid}/fd`).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`) ?? '')?.[1] ?? [],
  );
}

function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

function statOf(pid: number): { state: string; startTicks: string; cpuTicks: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command may hold spaces and parentheses; what follows its last one has fixed positions (proc(5), fields 3, 14, 15 and 22).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    return state && startTicks ? { state, startTicks, cpuTicks: Number(fields[11]) + Number(fields[12]) } : undefined;
  } catch {
    return undefined;
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function linkOf(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}
