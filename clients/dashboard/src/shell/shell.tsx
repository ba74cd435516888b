import { useQueryClient } from "@tanstack/react-query";
import {
  AudioLines,
  KeyRound,
  LogOut,
  Menu as MenuIcon,
  Monitor,
  Moon,
  PhoneCall,
  Sun,
  X,
} from "lucide-react";
import { Dialog } from "radix-ui";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { signOut, useHealth, useMe } from "@/api/session";
import { cn } from "@/cn";
import { Mark } from "@/components/mark";
import { Button } from "@/components/ui/button";
import { overlayClass } from "@/components/ui/dialog";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/components/ui/dropdown-menu";
import { TalkDock } from "@/talk/talk-dock";
import { talkSession } from "@/talk/talk-session";
import { setTheme, type ThemeChoice, useTheme } from "./theme";

const PLACES = [
  { href: "/agents", name: "Agents", icon: AudioLines },
  { href: "/calls", name: "Calls", icon: PhoneCall },
  { href: "/keys", name: "Keys", icon: KeyRound },
] as const;

/** The frame of every page but the sign-in: the places to go to, the theme, the way out, and the running call. */
export function Shell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [path] = useLocation();

  useEffect(() => void talkSession.resume(), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: each page starts at its top
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [path]);

  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[236px_1fr]">
      <a
        href="#content"
        className="-translate-y-20 fixed top-3 left-3 z-60 rounded-md bg-ink px-4 py-2 text-ground focus:translate-y-0"
      >
        Skip to the content
      </a>
      <header className="sticky top-0 z-20 flex h-15 items-center gap-3 border-b bg-ground/90 px-3 backdrop-blur-md lg:hidden">
        <Dialog.Root open={open} onOpenChange={setOpen}>
          <Dialog.Trigger asChild>
            <Button look="quiet" size="icon" aria-label="Menu">
              <MenuIcon />
            </Button>
          </Dialog.Trigger>
          <Dialog.Portal>
            <Dialog.Overlay className={overlayClass} />
            <Dialog.Content
              aria-describedby={undefined}
              className="fixed inset-y-0 left-0 z-50 w-[272px] animate-slide-in border-r bg-ground shadow-high focus:outline-none"
            >
              <Dialog.Title className="sr-only">Menu</Dialog.Title>
              <Dialog.Close asChild>
                <Button look="quiet" size="icon-sm" aria-label="Close" className="absolute top-5 right-4">
                  <X />
                </Button>
              </Dialog.Close>
              <Sidebar path={path} onGo={() => setOpen(false)} />
            </Dialog.Content>
          </Dialog.Portal>
        </Dialog.Root>
        <Link
          href="/agents"
          className="flex items-center gap-2.5 font-display font-semibold text-lg tracking-tight"
        >
          <Mark className="size-6" /> OneInbox
        </Link>
      </header>
      <aside className="sticky top-0 hidden h-dvh border-r lg:block">
        <Sidebar path={path} />
      </aside>
      <main id="content" tabIndex={-1} className="min-w-0 focus:outline-none">
        {children}
      </main>
      <TalkDock />
    </div>
  );
}

function Sidebar({ path, onGo }: { path: string; onGo?: () => void }) {
  const health = useHealth();
  return (
    <div className="flex h-full flex-col px-4 pt-6 pb-4">
      <Link
        href="/agents"
        {...(onGo ? { onClick: onGo } : {})}
        className="mb-8 flex items-center gap-3 rounded-md px-2"
      >
        <Mark className="size-7" />
        <span className="font-display font-semibold text-[19px] tracking-tight">OneInbox</span>
      </Link>
      <nav aria-label="Main" className="flex flex-col gap-1">
        {PLACES.map(({ href, name, icon: Icon }) => {
          const here = path === href || path.startsWith(`${href}/`);
          return (
            <Link
              key={href}
              href={href}
              {...(onGo ? { onClick: onGo } : {})}
              aria-current={here ? "page" : undefined}
              className={cn(
                "flex h-10 items-center gap-3 rounded-md px-3 text-[15px] transition-colors [&_svg]:size-[18px]",
                here
                  ? "bg-accent-wash font-medium text-ink [&_svg]:text-accent"
                  : "text-ink-soft hover:bg-sunken hover:text-ink",
              )}
            >
              <Icon /> {name}
            </Link>
          );
        })}
      </nav>
      <div className="mt-auto flex flex-col gap-1">
        <Account />
        {health.data?.version && (
          <p className="px-3 pt-2 text-ink-faint text-xs">Version {health.data.version}</p>
        )}
      </div>
    </div>
  );
}

const THEMES: readonly { choice: ThemeChoice; name: string; icon: typeof Sun }[] = [
  { choice: "light", name: "Light", icon: Sun },
  { choice: "dark", name: "Dark", icon: Moon },
  { choice: "system", name: "As the system", icon: Monitor },
];

function Account() {
  const me = useMe();
  const { choice, shown } = useTheme();
  const [, navigate] = useLocation();
  const queries = useQueryClient();

  async function leave() {
    try {
      await signOut();
    } finally {
      queries.clear();
      navigate("/sign-in");
    }
  }

  return (
    <>
      {me.data?.email && (
        <p className="truncate px-3 pb-1 text-[13px] text-ink-faint" title={me.data.email}>
          {me.data.email}
        </p>
      )}
      <div className="flex items-center gap-1">
        <Button look="quiet" size="sm" className="flex-1 justify-start gap-3" onClick={() => void leave()}>
          <LogOut /> Sign out
        </Button>
        <Menu>
          <MenuTrigger asChild>
            <Button look="quiet" size="icon-sm" aria-label="Theme">
              {shown === "dark" ? <Moon /> : <Sun />}
            </Button>
          </MenuTrigger>
          <MenuContent align="end">
            {THEMES.map(({ choice: one, name, icon: Icon }) => (
              <MenuItem key={one} onSelect={() => setTheme(one)} aria-current={choice === one}>
                <Icon /> {name}
                {choice === one && <span className="ml-auto size-1.5 rounded-full bg-accent" />}
              </MenuItem>
            ))}
          </MenuContent>
        </Menu>
      </div>
    </>
  );
}
