/** The hub's API: requests that answer or say why not, and the live stream that comes back by itself. */

import type {
  Decision,
  History,
  HubStatus,
  Live,
  ModuleInfo,
  NewToken,
  NewUser,
  Notice,
  Preferences,
  Problem,
  SessionInfo,
  TokenCreated,
  TokenInfo,
  UserInfo,
} from "../model";

const BASE = "/ores/v1";

/** What the hub answered instead of what was asked for. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem | null,
  ) {
    const where = problem?.field ? `${problem.field}: ` : "";
    const allowed = problem?.allowed ? ` (allowed: ${problem.allowed})` : "";
    super(problem ? `${where}${problem.detail ?? problem.title}${allowed}` : `The hub answered ${status}.`);
  }
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(BASE + path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  let value: unknown = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    // not JSON: whatever stands in between answered, and `Refused` says its status
  }
  if (!answer.ok) throw new Refused(answer.status, value as Problem | null);
  return value as T;
}

export const api = {
  status: () => call<HubStatus>("GET", "/status"),
  session: () => call<SessionInfo>("GET", "/session"),
  logIn: (name: string, password: string) => call<unknown>("POST", "/session", { name, password }),
  logOut: () => call<unknown>("DELETE", "/session"),
  createOwner: (name: string, password: string) => call<unknown>("POST", "/owner", { name, password }),
  users: async () => (await call<{ users: UserInfo[] }>("GET", "/users")).users,
  createUser: (wanted: NewUser) => call<UserInfo>("POST", "/users", wanted),
  removeUser: (name: string) => call<unknown>("DELETE", `/users/${encodeURIComponent(name)}`),
  tokens: async () => (await call<{ tokens: TokenInfo[] }>("GET", "/tokens")).tokens,
  createToken: (wanted: NewToken) => call<TokenCreated>("POST", "/tokens", wanted),
  revokeToken: (id: string) => call<unknown>("DELETE", `/tokens/${id}`),
  acknowledge: (id: number) => call<Notice>("PUT", `/notices/${id}/acknowledged`),
  modules: async () => (await call<{ modules: ModuleInfo[] }>("GET", "/modules")).modules,
  pair: (id: string, code: string) => call<ModuleInfo>("POST", "/modules", { id, code }),
  forget: (id: string) => call<unknown>("DELETE", `/modules/${id}`),
  watch: (id: string, watchOnly: boolean) => call<unknown>("PUT", `/modules/${id}/watch`, { watch_only: watchOnly }),
  preferences: () => call<Preferences>("GET", "/preferences"),
  setPreferences: (wanted: Preferences) => call<Preferences>("PUT", "/preferences", wanted),
  decisions: async (module: string, limit = 12) =>
    (await call<{ decisions: Decision[] }>("GET", `/decisions?module=${module}&limit=${limit}`)).decisions,
  history: (series: string[], start: Date, end: Date, maxPoints: number) =>
    call<History>(
      "GET",
      `/history?series=${series.join(",")}&start=${start.toISOString()}&end=${end.toISOString()}&max_points=${maxPoints}`,
    ),
};

/** A frame of the live stream, keyed by what it carries. */
interface Frame {
  live?: Live;
  decision?: Decision;
  notice?: Notice;
}

/** Follow the house; reconnects with growing patience. Returns how to stop. */
export function follow(onLive: (live: Live) => void, onConnected: (connected: boolean) => void): () => void {
  let socket: WebSocket | null = null;
  let stopped = false;
  let waitMs = 500;
  const open = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}${BASE}/stream`);
    socket.onopen = () => {
      waitMs = 500;
      onConnected(true);
    };
    socket.onmessage = (event) => {
      const frame = JSON.parse(event.data as string) as Frame;
      if (frame.live) onLive(frame.live);
    };
    socket.onclose = () => {
      onConnected(false);
      if (stopped) return;
      setTimeout(open, waitMs);
      waitMs = Math.min(waitMs * 2, 8000);
    };
  };
  open();
  return () => {
    stopped = true;
    socket?.close();
  };
}
