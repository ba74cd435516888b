import { Check, ChevronDown } from "lucide-react";
import { Select as Radix } from "radix-ui";
import { cn } from "@/cn";

interface SelectProps {
  value: string;
  onChange: (value: string) => void;
  options: readonly { value: string; label: string }[];
  label: string;
  id?: string;
  className?: string;
}

/** A choice of one out of a few. `label` is read by screen readers. */
export function Select({ value, onChange, options, label, id, className }: SelectProps) {
  return (
    <Radix.Root value={value} onValueChange={onChange}>
      <Radix.Trigger
        id={id}
        aria-label={label}
        className={cn(
          "inline-flex h-10 min-w-0 items-center justify-between gap-2 rounded-md border border-line-strong bg-raised px-3 text-sm hover:border-ink-faint [&>span]:truncate",
          className,
        )}
      >
        <Radix.Value />
        <Radix.Icon asChild>
          <ChevronDown className="size-4 shrink-0 text-ink-faint" />
        </Radix.Icon>
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          position="popper"
          sideOffset={6}
          className="z-50 max-h-80 min-w-(--radix-select-trigger-width) overflow-hidden rounded-lg border bg-raised p-1 shadow-high data-[state=open]:animate-fade-in"
        >
          <Radix.Viewport>
            {options.map((option) => (
              <Radix.Item
                key={option.value}
                value={option.value}
                className="flex h-9 cursor-pointer select-none items-center gap-2 rounded-sm pr-3 pl-8 text-sm outline-none data-[highlighted]:bg-sunken"
              >
                <Radix.ItemIndicator className="absolute left-3">
                  <Check className="size-4 text-accent" />
                </Radix.ItemIndicator>
                <Radix.ItemText>{option.label}</Radix.ItemText>
              </Radix.Item>
            ))}
          </Radix.Viewport>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
