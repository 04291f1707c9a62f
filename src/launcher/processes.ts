// What the launcher asks the operating system about processes. /proc answers on Linux; elsewhere the answers are `undefined`
// and the callers fall back to "alive or not".
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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

/** The process that listens on a TCP port, where /proc shows it to us. */
export function ownerOfPort(port: number): { pid: number; command: string | undefined } | undefined {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return undefined;
  for (const entry of entriesOf('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    for (const fd of entriesOf(`/proc/${entry}/fd`)) {
      const socket = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${entry}/fd/${fd}`) ?? '')?.[1];
      if (socket && inodes.has(socket)) return { pid: Number(entry), command: commandOf(Number(entry)) };
    }
  }
  return undefined;
}

function listeningInodes(port: number): Set<string> {
  const LISTEN = '0A';
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let lines: string[];
    try {
      lines = readFileSync(table, 'utf8').split('\n').slice(1);
    } catch {
      continue;
    }
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === LISTEN && fields[1]?.endsWith(suffix) && fields[9]) inodes.add(fields[9]);
    }
  }
  return inodes;
}

function startTicksOf(pid: number): string | undefined {
  return statOf(pid)?.startTicks;
}

function statOf(pid: number): { state: string; startTicks: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command may hold spaces and parentheses; what follows its last one has fixed positions (proc(5), fields 3 and 22).
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    return state && startTicks ? { state, startTicks } : undefined;
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
