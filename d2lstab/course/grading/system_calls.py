"""A filter of system calls for the sandbox, as a program for the kernel (seccomp).

No lesson needs them: new namespaces and mounts (the door to parts of the kernel that
are rarely tried), memory that no process shows, keys, tracing, sockets that lead past
the namespace of the network, another core. The filter comes on top
of the other walls; on processors that it does not know it is left out.
"""

import errno
import os
import platform
import struct

__all__ = ["filter_descriptor", "filter_program"]

_X86, _ARM = "x86_64", "aarch64"
_ARCHITECTURE = {_X86: 0xC000003E, _ARM: 0xC00000B7}  # linux/audit.h
_CLONE = {_X86: 56, _ARM: 220}
_SOCKET = {_X86: 41, _ARM: 198}
_FAMILIES = (1, 2, 10, 16)  # local, IPv4, IPv6, netlink: the namespaces part those, no others
_NEW_NAMESPACES = 0x7E020000  # the CLONE_NEW... flags, linux/sched.h
_OTHER_TABLE = 0x40000000  # x86's second numbering of the same calls

# name: number on x86_64, on aarch64, the error to give
_REFUSED = {
    "mount": (165, 40, errno.EPERM),
    "umount2": (166, 39, errno.EPERM),
    "pivot_root": (155, 41, errno.EPERM),
    "unshare": (272, 97, errno.EPERM),
    "setns": (308, 268, errno.EPERM),
    "open_tree": (428, 428, errno.EPERM),
    "move_mount": (429, 429, errno.EPERM),
    "fsopen": (430, 430, errno.EPERM),
    "clone3": (435, 435, errno.ENOSYS),  # its flags cannot be seen; libc then uses clone
    "memfd_create": (319, 279, errno.ENOSYS),
    "memfd_secret": (447, 447, errno.ENOSYS),
    "shmget": (29, 194, errno.EPERM),
    "msgget": (68, 186, errno.EPERM),
    "add_key": (248, 217, errno.EPERM),
    "request_key": (249, 218, errno.EPERM),
    "keyctl": (250, 219, errno.EPERM),
    "ptrace": (101, 117, errno.EPERM),
    "process_vm_writev": (311, 271, errno.EPERM),
    "kexec_load": (246, 104, errno.EPERM),
    "bpf": (321, 280, errno.EPERM),
    "userfaultfd": (323, 282, errno.EPERM),
    "sched_setaffinity": (203, 122, errno.EPERM),  # each submission has its core
    "perf_event_open": (298, 241, errno.EPERM),
    "io_uring_setup": (425, 425, errno.ENOSYS),
}
# Instructions of the kernel's classic packet filter, linux/filter.h.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def _instruction(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, k)


def filter_program(machine: str) -> bytes:
    """The filter for a processor's name as `platform.machine` gives it; empty if unknown."""
    if machine not in _ARCHITECTURE:
        return b""
    refuse = _instruction(_RETURN, _ERROR | errno.EPERM)
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_IF_EQUAL, _ARCHITECTURE[machine], if_true=1),
        refuse,
        _instruction(_LOAD, _NUMBER),
        _instruction(_IF_AT_LEAST, _OTHER_TABLE, if_false=1),
        refuse,
    ]
    for x86, arm, error in _REFUSED.values():
        number = x86 if machine == _X86 else arm
        program += [
            _instruction(_IF_EQUAL, number, if_false=1),
            _instruction(_RETURN, _ERROR | error),
        ]
    program += [
        _instruction(_IF_EQUAL, _SOCKET[machine], if_false=len(_FAMILIES) + 3),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        *(
            _instruction(_IF_EQUAL, family, if_true=len(_FAMILIES) - k)
            for k, family in enumerate(_FAMILIES)
        ),
        refuse,
        _instruction(_RETURN, _ALLOW),
        _instruction(_IF_EQUAL, _CLONE[machine], if_false=3),
        _instruction(_LOAD, _FIRST_ARGUMENT),
        _instruction(_IF_ANY_BIT, _NEW_NAMESPACES, if_false=1),
        refuse,
        _instruction(_RETURN, _ALLOW),
    ]
    return b"".join(program)


def filter_descriptor() -> int | None:
    """A file descriptor from which bubblewrap reads the filter; the caller closes it."""
    program = filter_program(platform.machine())
    if not program:
        return None
    reading, writing = os.pipe()
    os.write(writing, program)
    os.close(writing)
    return reading
