# SPDX-License-Identifier: MIT
"""tools/tenon-gdb.py -- tasks and their backtraces in gdb, live and from a core file.

    (gdb) source tools/tenon-gdb.py
    (gdb) tenon tasks                 every task: its state, and what it waits for
    (gdb) tenon bt reader             the backtrace of each task of that name
    (gdb) tenon bt 0x7ffff7a1f3c0     of the task at that address
    (gdb) tenon bt all                of all
    (gdb) tenon select reader         from now on bt, up, down, info locals ... are of it
    (gdb) tenon select off            and of the thread again
    (gdb) tenon core FILE             generate-core-file, with the stacks in it

A parked task's registers lie on its stack, where switch_stacks left them (the layouts
are in src/task/switch_*.S).  An unwinder claims the innermost frame of the thread and
tells gdb that its caller is the task's switch_stacks: no register of the thread is
changed, so it works on a core file too.  The claimed frame gets an id with the task's
stack pointer; with the thread's, gdb would take the task's frames for a broken stack.

The kernel's core files have all that is needed.  Those of gdb 13 have not: reading a
stack's guard page fails, and then it leaves out the rest of the mapping, stacks and all.
`tenon core` puts it in.

Needs the library's debugging information, as a build with -g has it.
"""
import re
import struct

import gdb
from gdb.unwinder import Unwinder

STATES = ("ready", "running", "parked", "ended")

# What switch_stacks leaves, upwards from the stopped stack's pointer: eight bytes each.
LAYOUTS = {
    "i386:x86-64": {
        "saved": {1: "r15", 2: "r14", 3: "r13", 4: "r12", 5: "rbx", 6: "rbp", 7: "rip"},
        "words": 8, "sp": "rsp", "pc": "rip",
    },
    "aarch64": {
        "saved": {**{i: f"x{19 + i}" for i in range(11)}, 11: "pc"},
        "words": 22, "sp": "sp", "pc": "pc",
    },
}


class FrameId:
    """What gdb tells frames apart by."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class TaskUnwinder(Unwinder):
    """While a task is chosen, the innermost frame's caller is the task's."""

    def __init__(self):
        super().__init__("tenon-task")
        self.stack_pointer = None
        self.thread = None

    def choose(self, task):
        self.stack_pointer = None
        self.thread = None
        if task is not None:
            self.stack_pointer = int(task["context"]["stack_pointer"])
            self.thread = gdb.selected_thread().ptid
        gdb.invalidate_cached_frames()

    def __call__(self, pending):
        if self.stack_pointer is None or pending.level() != 0:
            return None
        if gdb.selected_thread().ptid != self.thread:
            return None
        layout = LAYOUTS.get(pending.architecture().name())
        if layout is None:
            return None
        here = FrameId(gdb.Value(self.stack_pointer), pending.read_register(layout["pc"]))
        info = pending.create_unwind_info(here)
        word = gdb.lookup_type("unsigned long")
        base = gdb.Value(self.stack_pointer).cast(word.pointer())
        for place, name in layout["saved"].items():
            info.add_saved_register(name, base[place])
        above = gdb.Value(self.stack_pointer + 8 * layout["words"])
        info.add_saved_register(layout["sp"], above.cast(word))
        return info


unwinder = TaskUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def loops():
    """Each thread that has a loop, selected, with the loop."""
    before = gdb.selected_thread()
    if before is None:
        raise gdb.GdbError("no process and no core file")
    try:
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
            thread.switch()
            try:
                loop = gdb.parse_and_eval("loop_current")
            except gdb.error as error:
                raise gdb.GdbError(f"no loop_current here ({error}): is this a program "
                                   "with libtenon and its debugging information?")
            if int(loop) != 0:
                yield thread, loop.dereference()
    finally:
        before.switch()


def tasks_of(loop):
    """The tasks of LOOP that are alive, in the order in which they were started."""
    task_type = gdb.lookup_type("struct tn_task")
    offset = next(field.bitpos // 8 for field in task_type.fields()
                  if field.name == "in_loop")
    head = loop["tasks"].address
    link = loop["tasks"]["next"]
    while int(link) != int(head):
        at = int(link) - offset
        yield gdb.Value(at).cast(task_type.pointer()).dereference()
        link = link["next"]


def name_of(task):
    return task["name"].string(errors="replace")


def state_of(task):
    number = int(task["state"])
    return STATES[number] if number < len(STATES) else str(number)


def seconds(nanoseconds):
    return f"{nanoseconds / 1e9:.3f} s"


def kind_of(task):
    """The kind of waiting in words, as the library's own reports have it."""
    kind = int(task["waits_for"])
    try:
        return gdb.parse_and_eval(f"wait_names[{kind}]").string()
    except gdb.error:
        return f"kind {kind}"


def waits_for(task, loop):
    """What TASK waits for, and until when."""
    if state_of(task) != "parked":
        return ""
    kind, on = kind_of(task), task["waits_on"]
    if kind == "task":
        other = on.cast(gdb.lookup_type("struct tn_task").pointer())
        text = f"task '{name_of(other.dereference())}'"
    elif kind == "descriptor":
        text = f"descriptor {int(on)}"
    elif kind in ("time", "nothing"):
        text = kind
    else:
        text = f"{kind} {int(on):#x}"
    deadline = int(task["deadline"])
    if deadline != 2 ** 63 - 1:
        text += f", {seconds(deadline - int(loop['now']))} from the loop's last turn"
    if task["canceled"]:
        text += ", canceled"
    return text


def backtrace():
    """The lines of gdb's own backtrace, the claimed frame left out and renumbered."""
    lines = []
    number = -1
    for line in gdb.execute("backtrace", to_string=True).splitlines():
        match = re.match(r"#(\d+)(\s.*)", line)
        if match:
            number = int(match[1])
            line = f"#{number - 1:<3}{match[2].lstrip(' ') if number > 0 else ''}"
        if number > 0:
            lines.append(line)
    return lines


def has_run(task):
    """Whether TASK was ever switched to; before, its stack holds but a made-up return."""
    layout = LAYOUTS.get(gdb.newest_frame().architecture().name())
    if layout is None:
        raise gdb.GdbError("the stacks of this processor are unknown here")
    saved = {name: place for place, name in layout["saved"].items()}
    word = gdb.lookup_type("unsigned long").pointer()
    resume = task["context"]["stack_pointer"].cast(word)[saved[layout["pc"]]]
    return int(resume) != int(gdb.parse_and_eval("(unsigned long)&switch_start"))


def show_backtrace(task):
    if state_of(task) == "running":
        print(gdb.execute("backtrace", to_string=True), end="")
        return
    if not has_run(task):
        print(f"has not run yet; will start with {task['fn'].format_string(symbols=True)}")
        return
    kept = unwinder.stack_pointer, unwinder.thread
    unwinder.choose(task)
    try:
        print("\n".join(backtrace()))
    finally:
        unwinder.stack_pointer, unwinder.thread = kept
        gdb.invalidate_cached_frames()


def matching(wanted):
    """Thread, loop and task for each task that WANTED names; the thread is selected."""
    found = False
    for thread, loop in loops():
        for task in tasks_of(loop):
            if wanted in ("all", name_of(task), hex(int(task.address))):
                found = True
                yield thread, loop, task
    if not found:
        raise gdb.GdbError(f"no task '{wanted}' (see: tenon tasks)")


class Tenon(gdb.Command):
    """Look at the tasks of libtenon: tenon tasks, tenon bt NAME, tenon select NAME."""

    def __init__(self):
        super().__init__("tenon", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)


class TenonTasks(gdb.Command):
    """tenon tasks -- list every task, its state and what it waits for."""

    def __init__(self):
        super().__init__("tenon tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        kept = unwinder.stack_pointer
        unwinder.stack_pointer = None
        try:
            number = 0
            for thread, loop in loops():
                number += 1
                print(f"loop {int(loop.address):#x} of thread {thread.num}, "
                      f"driver {loop['driver']['name'].string()}, "
                      f"{int(loop['alive'])} tasks")
                for task in tasks_of(loop):
                    print(f"  {int(task.address):#x}  {state_of(task):8}"
                          f"{name_of(task):24}  {waits_for(task, loop)}".rstrip())
            if number == 0:
                print("no thread has a loop")
        finally:
            unwinder.stack_pointer = kept


class TenonBt(gdb.Command):
    """tenon bt NAME|ADDRESS|all -- print backtraces of tasks, parked or not."""

    def __init__(self):
        super().__init__("tenon bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if not argument.strip():
            raise gdb.GdbError("usage: tenon bt NAME|ADDRESS|all")
        for _, loop, task in matching(argument.strip()):
            said = waits_for(task, loop)
            print(f"task '{name_of(task)}' ({int(task.address):#x}), {state_of(task)}"
                  + (f", waits for {said}" if said else ""))
            show_backtrace(task)
            print()


class TenonSelect(gdb.Command):
    """tenon select NAME|ADDRESS|off -- let bt, up and info locals show a parked task."""

    def __init__(self):
        super().__init__("tenon select", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        wanted = argument.strip()
        if wanted in ("", "off"):
            unwinder.choose(None)
            return
        found = [(thread, task) for thread, _, task in matching(wanted)]
        if len(found) != 1:
            raise gdb.GdbError(f"{len(found)} tasks: name one by its address")
        thread, task = found[0]
        if state_of(task) == "running":
            raise gdb.GdbError("this task is running: it is what its thread shows")
        thread.switch()
        unwinder.choose(task)
        gdb.execute("frame 1")


CHUNK, PAGE = 65536, 4096


def segments_of(core):
    """Address, size and place in the file of what the core file has of the memory."""
    core.seek(0)
    header = core.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        raise gdb.GdbError("not a core file of a 64-bit little-endian processor")
    at, sections = struct.unpack_from("<QQ", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    if count == 0xFFFF:  # too many for the field: in the first section, elf(5)
        core.seek(sections + 44)
        count = struct.unpack("<I", core.read(4))[0]
    core.seek(at)
    table = core.read(size * count)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", table,
                                                                 number * size)
        if kind == 1 and length > 0:  # PT_LOAD
            yield address, length, offset


def arenas():
    """Where the stacks of each loop lie: pairs of address and end."""
    for _, loop in loops():
        arena = loop["stacks"]["arenas"]
        while int(arena) != 0:
            start = int(arena["memory"])
            yield start, start + int(arena["slot_size"]) * int(arena["count"])
            arena = arena["next"]


def copy_piece(core, start, size, offset):
    """Write SIZE bytes from START into CORE; false if they cannot be read."""
    try:
        data = gdb.selected_inferior().read_memory(start, size).tobytes()
    except gdb.MemoryError:
        return False
    if data.count(0) != size:  # the file has holes for zeros
        core.seek(offset)
        core.write(data)
    return True


def copy_memory(core, start, end, offset):
    """Write what can be read from START to END into CORE at OFFSET."""
    for chunk in range(start, end, CHUNK):
        if copy_piece(core, chunk, min(CHUNK, end - chunk), offset + chunk - start):
            continue
        for page in range(chunk, min(chunk + CHUNK, end), PAGE):  # a guard is in it
            copy_piece(core, page, PAGE, offset + page - start)


class TenonCore(gdb.Command):
    """tenon core FILE -- generate-core-file FILE, with the stacks of the tasks in it."""

    def __init__(self):
        super().__init__("tenon core", gdb.COMMAND_STACK, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        name = argument.strip()
        if not name:
            raise gdb.GdbError("usage: tenon core FILE")
        gdb.execute(f"generate-core-file {name}")
        stacks = list(arenas())
        with open(name, "r+b") as core:
            for start, size, offset in list(segments_of(core)):
                if any(low < start + size and high > start for low, high in stacks):
                    copy_memory(core, start, start + size, offset)


def forget(_event):
    unwinder.choose(None)


gdb.events.cont.connect(forget)
Tenon()
TenonTasks()
TenonBt()
TenonSelect()
TenonCore()
